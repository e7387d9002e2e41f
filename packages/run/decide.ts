import { type CalibrationSet, criterionOf } from "@lopper/importance";
import { digestOfPlan, type Model } from "@lopper/models";
import type { RefitWay } from "@lopper/recovery";
import { checkHistory, searchModelOf, type SearchPolicy } from "@lopper/search";
import type { Decision } from "./decision.ts";
import type { RunEvent } from "./events.ts";
import { type MeasuredOn, measureModel, type ModelMeasures } from "./measure.ts";
import type { MemoryPlan } from "./memory.ts";
import { phase, type Teller } from "./phase.ts";
import {
  type AppliedDecision,
  type PreparedRun,
  prepareRun,
  type PruneTask,
  type RunTools,
  type SearchScorer,
} from "./prepare.ts";
import { reachNotes } from "./reach_notes.ts";
import { recover } from "./recover.ts";
import { routingByText } from "./routing_by_text.ts";
import { search } from "./search.ts";
import type { RunTexts } from "./texts.ts";
import { writeResult } from "./write_result.ts";
import type { Recovery, RoutingByText } from "./schemas/record.ts";
import type { RunSettings } from "./schemas/settings.ts";

/** What was decided and written. */
export interface RunOutcome {
  readonly decision: Decision;
  readonly settings: RunSettings;
  readonly memory: MemoryPlan;
  readonly dense: ModelMeasures;
  /** Null where there is nothing to tell apart. */
  readonly routing: RoutingByText | null;
  readonly recovery: Recovery | null;
  /** What was written, by paths in the result. */
  readonly files: readonly string[];
  /** Block-tokens that the dense model took to say what candidates are judged by. */
  readonly predictions: number;
}

/**
 * Decides what stays, measures the dense model while it is in memory, refits and writes: nothing of
 * the dense model outlives this function.
 * @param policy of the search; null where a decision is applied.
 */
export async function* decide(
  model: Model,
  on: MeasuredOn,
  task: PruneTask,
  policy: SearchPolicy | null,
  tools: RunTools,
): AsyncGenerator<RunEvent, RunOutcome> {
  const { store, signal } = tools;
  const { texts } = on;
  await using run = yield* prepareRun(model, texts, task, tools);
  const { decoder, searching, settings, memory, ranking } = run;
  checkHistory(searchModelOf(model.architecture), store.history, store.journalPath);
  if (policy) yield* reachNotes(model, policy, settings.flags);
  const { decision, predictions } = policy
    ? yield* found(model, texts, policy, run, tools)
    : { decision: await applied(task.applied!, run, tools), predictions: 0 };
  // What it holds is not needed any more.
  if (searching !== decoder) await searching.dispose();
  const dense = yield* phase(
    "measuring the result",
    signal,
    ({ progress }) => measureModel(decoder, on, memory, progress),
  );
  const routing = yield* routingByText(decoder, texts.apart, decision.plan, settings.flags, signal);
  const way = settings.flags.recover;
  const recovered = way === "none" ? null : yield* refits(model, texts, decision, run, way, tools);
  const files = await writeResult(model, decision, ranking, store, recovered?.refit);
  const recovery = recovered?.recovery ?? null;
  return { decision, settings, memory, dense, routing, recovery, files, predictions };
}

/** A decision that was made before: the store learns of it with the settings. */
async function applied(
  { source, ratio, decide }: AppliedDecision,
  { settings, ranking }: PreparedRun,
  { store }: RunTools,
): Promise<Decision> {
  const decision = await decide(settings.modelDigest, ranking);
  const digest = await digestOfPlan(decision.plan);
  await store.begin({ ...settings, plan: { source, ratio, digest } });
  return decision;
}

/** A search. */
async function* found(
  model: Model,
  texts: RunTexts,
  policy: SearchPolicy,
  prepared: PreparedRun,
  { store, signal }: RunTools,
): AsyncGenerator<RunEvent, Pick<RunOutcome, "decision" | "predictions">> {
  const { decoder, shared, scorers, settings } = prepared;
  await store.begin(settings);
  const asked = [...new Set(policy.stages.map(({ samples }) => samples))];
  const predictions = yield* phase(
    "asking the dense model",
    signal,
    (teller) =>
      predict(
        shared?.work ?? decoder,
        asked.map((kind) => [texts[kind], scorers[kind]]),
        teller,
      ),
  );
  const decision = yield* phase(
    "searching",
    signal,
    (teller) => search({ model, texts, policy, prepared, store }, teller),
  );
  return { decision, predictions };
}

/**
 * Has the dense model say what candidates are judged by, and returns the block-tokens that took.
 */
async function predict(
  counter: { readonly blockTokens: number },
  scored: readonly (readonly [CalibrationSet, SearchScorer])[],
  { progress }: Teller,
): Promise<number> {
  const before = counter.blockTokens;
  const total = scored.reduce((sum, [{ sequences }]) => sum + sequences.length, 0);
  let earlier = 0;
  for (const [{ sequences }, scorer] of scored) {
    await scorer.prepare((done) => progress(earlier + done, total));
    earlier += sequences.length;
  }
  return counter.blockTokens - before;
}

/** Refits of what stays; null where there is too little text for them. */
async function* refits(
  model: Model,
  texts: RunTexts,
  decision: Decision,
  { decoder, settings: { flags } }: PreparedRun,
  way: RefitWay,
  { store, signal }: RunTools,
): AsyncGenerator<RunEvent, Awaited<ReturnType<typeof recover>>> {
  const recovered = yield* phase("recovery", signal, ({ progress, tell }) =>
    recover({
      ...{ model, decision, decoder, texts },
      batchTokens: flags.batchTokens,
      how: { way, criterion: criterionOf(flags.criterion) },
      recorded: store.history.refits,
      record: (line) => store.append(line),
      onLine: (line, resumed) => tell({ type: "refit", line, resumed }),
      onProgress: progress,
    }));
  if (!recovered) {
    const message = "nothing refitted: there is too little calibration text to keep some aside";
    yield { type: "note", message };
  }
  return recovered;
}
