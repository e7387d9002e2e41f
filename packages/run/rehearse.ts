import { denseShape } from "@lopper/core";
import { perplexity, type Scorer, tokenCount } from "@lopper/importance";
import type { Model } from "@lopper/models";
import { type RefitTokens, refitWork } from "@lopper/recovery";
import {
  ByTable,
  denseState,
  expectedSteps,
  expectedTokens,
  type Picker,
  type SearchPolicy,
  tableWork,
} from "@lopper/search";
import type { Decision } from "./decision.ts";
import type { RunEvent } from "./events.ts";
import { phase } from "./phase.ts";
import { loadRun, prepareRun, type PruneTask, type RunTools } from "./prepare.ts";
import { reachNotes } from "./reach_notes.ts";
import { fitsCells, openScorer, pickerOf, policyOf, scorerOnce } from "./search_tools.ts";
import type { RunTexts } from "./texts.ts";
import type { RunFlags } from "./schemas/flags.ts";

/** What `prune` would do with a model. */
export interface Rehearsal {
  readonly flags: RunFlags;
  /** Of the search; null where a decision is applied that was made before. */
  readonly policy: SearchPolicy | null;
  readonly dry: DryRun | null;
  /** That decision. */
  readonly decision: Decision | null;
}

/**
 * Tokens that a dry run times together: little at a time, so that a large model says something
 * soon.
 */
const TIMED_TOKENS = 1024;

/**
 * Rehearses `prune`, and writes nothing.
 * @throws {LopperError} as `prune` does before its search.
 */
export async function* rehearse(
  model: Model,
  texts: RunTexts,
  task: PruneTask,
  tools: RunTools,
): AsyncGenerator<RunEvent, Rehearsal> {
  if (task.applied) {
    await using run = yield* prepareRun(model, texts, task, tools);
    const { ranking, settings: { flags, modelDigest } } = run;
    const decision = await task.applied.decide(modelDigest, ranking);
    return { flags, policy: null, dry: null, decision };
  }
  const policy = policyOf(model, task.flags, task.latencies ?? null);
  await using run = yield* loadRun(model, texts, task, tools);
  const { decoder, searching, flags, memory: { cacheBytes } } = run;
  yield* reachNotes(model, policy, flags);
  const scorer = (text: "block" | "width") =>
    openScorer(searching, texts[text], flags, { cacheBytes, dense: decoder });
  const { extended, validation } = texts;
  const dry = yield* phase("timing the dense model", tools.signal, ({ progress }) =>
    dryRun({
      ...{ model, policy, picker: pickerOf(flags) },
      scorers: { block: scorer("block"), width: scorer("width") },
      timed: scorerOnce(searching, texts.block, {
        batchTokens: Math.min(flags.batchTokens, TIMED_TOKENS),
      }),
      refits: flags.recover !== "none" && validation
        ? {
          ...{ calibration: tokenCount(extended), validation: tokenCount(validation) / 2 },
          ...{ way: flags.recover, cells: fitsCells(flags) },
        }
        : null,
      now: () => performance.now(),
      onProgress: progress,
    }));
  return { flags, policy, dry, decision: null };
}

/** What a run would do, from a rehearsal of its search and a forward pass that was timed. */
export interface DryRun {
  readonly steps: number;
  readonly candidates: number;
  readonly blockTokens: number;
  readonly seconds: number;
  /** Of refits, which come on top; null where there are none. */
  readonly refitSeconds: number | null;
  /** Of the dense model, on as much of the calibration text as was timed. */
  readonly densePerplexity: number;
  /** Sequences that were timed, and those that there are. */
  readonly timed: { readonly sequences: number; readonly of: number };
}

/** Enough batches for a rate have run after so many seconds. */
const TIMED_SECONDS = 10;

interface RehearsalOptions {
  readonly model: Model;
  readonly policy: SearchPolicy;
  readonly picker: Picker;
  readonly scorers: { readonly block: Scorer; readonly width: Scorer };
  /** Of the block samples, in batches as they are timed. */
  readonly timed: Scorer;
  /** Tokens that refits learn from and choose on; null where nothing is to be refitted. */
  readonly refits: RefitTokens | null;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Hears of the seconds timed, and those to be timed; may throw to stop. */
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * Rehearses the search on shapes, and times the dense model on the block samples, batch by batch
 * until the rate is known. A candidate runs about half of the blocks, and the head.
 */
async function dryRun(options: RehearsalOptions): Promise<DryRun> {
  const { model, policy, picker, scorers, timed, refits, now, onProgress } = options;
  const started = now();
  const seconds = () => (now() - started) / 1000;
  const dense = denseShape(model.architecture.blocks);
  const nll: number[] = [];
  for (let batch = 0; batch < timed.batches.length && seconds() < TIMED_SECONDS; batch++) {
    onProgress(seconds(), TIMED_SECONDS);
    nll.push(...await timed.score(dense, null, batch));
  }
  const secondsPerToken = seconds() / (nll.length * timed.length);
  const perToken = scorers.block.fullCost(dense) / scorers.block.tokens;
  const { steps, candidates, tokens } = workOf(policy, picker, model, scorers);
  const share = 0.6;
  return {
    steps,
    candidates,
    blockTokens: Math.round(tokens * perToken * share),
    seconds: tokens * secondsPerToken * share,
    refitSeconds: refits &&
      refitWork(model.architecture, refits) * secondsPerToken /
        perToken,
    densePerplexity: perplexity(nll),
    timed: { sequences: nll.length, of: scorers.block.tokens / scorers.block.length },
  };
}

/** Steps of a search, candidates of all of them, and candidate-tokens that are scored. */
function workOf(
  policy: SearchPolicy,
  picker: Picker,
  { architecture: { blocks } }: Model,
  scorers: RehearsalOptions["scorers"],
): { readonly steps: number; readonly candidates: number; readonly tokens: number } {
  const dense = denseState(blocks);
  if (picker instanceof ByTable) {
    const stages = policy.stages.map((stage) =>
      tableWork(policy, stage, dense, scorers[stage.samples])
    );
    // A run that was extended has a table for each of its ratios, of which the last one is longest.
    const { cells, steps, tokens } = stages.at(-1)!;
    return { steps, candidates: cells + steps, tokens };
  }
  const steps = expectedSteps(policy, dense);
  return {
    steps: steps.length,
    candidates: steps.reduce((sum, s) => sum + s.candidates, 0),
    tokens: expectedTokens(steps, picker, scorers),
  };
}
