import { CARD_FILE } from "@lopper/card";
import { denseShape, latencyOf, type PrunePlan } from "@lopper/core";
import type { Model } from "@lopper/models";
import { type History, sideWork } from "@lopper/search";
import { writeCard } from "./card_of_run.ts";
import { decide, type RunOutcome } from "./decide.ts";
import type { RunEvent } from "./events.ts";
import { heldOutPrompts, measureModel, measureWritten } from "./measure.ts";
import { phase } from "./phase.ts";
import type { PruneTask, RunTools } from "./prepare.ts";
import { recordOf } from "./record_of_run.ts";
import { policyOf } from "./search_tools.ts";
import { measuredLatency } from "./target_latency.ts";
import type { RunTexts } from "./texts.ts";
import type { LatencyRecord, RunRecord } from "./schemas/record.ts";

/** What became of a model; what was written of it is in the store. */
export interface PruneResult {
  readonly plan: PrunePlan;
  readonly record: RunRecord;
}

/**
 * Prunes a model: has the dense model predict the calibration text, ranks units, searches, refits
 * what stays, writes it through the store, and measures what was written. A store that has a part
 * of the run goes on from there.
 * @throws {UnreachableTargetError} before anything is read, when no order of steps reaches the
 *   target.
 * @throws {InsufficientMemoryError} likewise, when the run does not fit into memory.
 * @throws {ResumeError} when what the store has is of another run.
 * @throws what the signal throws, at the next thing that the run tells.
 */
export async function* prune(
  model: Model,
  texts: RunTexts,
  task: PruneTask,
  tools: RunTools,
): AsyncGenerator<RunEvent, PruneResult> {
  const { store, signal, tokenizer, started = performance.now() } = tools;
  const earlier = secondsOf(store.history);
  const policy = task.applied ? null : policyOf(model, task.flags, task.latencies ?? null);
  const on = { texts, tokenizer, prompts: heldOutPrompts(texts, model.architecture) };
  const decided = yield* decide(model, on, task, policy, tools);
  const pruned = yield* phase("measuring the result", signal, ({ progress }) =>
    measureWritten(
      tools.backend,
      store,
      decided.memory,
      (decoder) => measureModel(decoder, on, decided.memory, progress),
    ));
  const latency = yield* measureLatency(model, decided, task, tools);
  const found = await recordOf({
    ...{ model, on, task, decided, pruned, latency, store },
    backend: tools.backend.description,
    wallSeconds: earlier + (performance.now() - started) / 1000,
  });
  const record = { ...found, files: [...found.files, CARD_FILE] };
  await writeCard(model, record, store, task.names);
  await tools.checkSource?.(record.modelDigest);
  await store.finish(record);
  return { plan: decided.decision.plan, record };
}

/** What an earlier part of a run took, as far as its journal says. */
function secondsOf(history: History): number {
  const { rankings, swaps, refits } = sideWork(history);
  return [...history.steps, ...history.measures.map(({ cost }) => cost), rankings, swaps, refits]
    .reduce((sum, { seconds }) => sum + seconds, 0);
}

/**
 * What was predicted of the result, and what it takes: both models are measured anew, one right
 * after the other. Null where the target is not a latency.
 */
async function* measureLatency(
  model: Model,
  { decision }: RunOutcome,
  { flags, latencies }: PruneTask,
  { backend, memory, store, signal }: RunTools,
): AsyncGenerator<RunEvent, LatencyRecord | null> {
  if (!latencies) return null;
  const { blocks } = model.architecture;
  const { amount } = latencyOf(latencies, blocks);
  const dense = yield* phase(
    "timing the dense model",
    signal,
    ({ progress }) => measuredLatency(model, latencies, { backend, memory, onProgress: progress }),
  );
  using written = await store.reopen();
  const pruned = yield* phase(
    "timing the result",
    signal,
    ({ progress }) =>
      measuredLatency(written, latencies, { backend, memory, onProgress: progress }),
  );
  return {
    target: flags.targetLatency!,
    pastTokens: latencies.pastTokens,
    predicted: { dense: amount(denseShape(blocks)), pruned: amount(decision.shape) },
    measured: { dense, pruned },
  };
}
