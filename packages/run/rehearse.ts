import { denseShape } from "@lopper/core";
import { perplexity, type Scorer } from "@lopper/importance";
import type { Model } from "@lopper/models";
import type { SearchPolicy } from "@lopper/search";
import type { Decision } from "./decision.ts";
import type { RunEvent } from "./events.ts";
import { phase } from "./phase.ts";
import { loadRun, prepareRun, type PruneTask, type RunTools } from "./prepare.ts";
import { reachNotes } from "./reach_notes.ts";
import { openScorer, pickerOf, policyOf, scorerOnce } from "./search_tools.ts";
import type { RunTexts } from "./texts.ts";
import { timedPass } from "./timed_pass.ts";
import {
  type SearchParts,
  shorterWays,
  type TextTokens,
  tokensOf,
  totalOf,
  workload,
} from "./workload.ts";
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
  const { decoder, searching, flags, memory } = run;
  yield* reachNotes(model, policy, flags);
  const scorer = (text: "block" | "width") =>
    openScorer(searching, texts[text], flags, { cacheBytes: memory.cacheBytes, dense: decoder });
  const scorers = { block: scorer("block"), width: scorer("width") };
  const dry = yield* phase("timing the dense model", tools.signal, ({ progress }) =>
    dryRun({
      ...{ model, flags, tokens: tokensOf(texts), memoryBytes: memory.totalBytes },
      parts: { policy, picker: pickerOf(flags), scorers },
      timed: scorerOnce(searching, texts.block, {
        batchTokens: Math.min(flags.batchTokens, TIMED_TOKENS),
      }),
      now: () => performance.now(),
      onProgress: progress,
    }));
  return { flags, policy, dry, decision: null };
}

/** What a run would do, from a rehearsal of its search and a forward pass that was timed. */
export interface DryRun {
  readonly steps: number;
  readonly candidates: number;
  /** Of the search. */
  readonly blockTokens: number;
  /** Of the search. */
  readonly seconds: number;
  /** Of refits, which come on top; null where there are none. */
  readonly refitSeconds: number | null;
  /** Of all, but for reading and writing files. */
  readonly totalSeconds: number;
  /** Bytes that the run takes at most. */
  readonly memoryBytes: number;
  /** What would make it shorter, the shortest first. */
  readonly shorter: readonly Shorter[];
  /** Of the dense model, on as much of the calibration text as was timed. */
  readonly densePerplexity: number;
  /** Sequences that were timed, and those that there are. */
  readonly timed: { readonly sequences: number; readonly of: number };
}

/** Settings, and how long a run takes with them. */
export interface Shorter {
  readonly options: string;
  readonly totalSeconds: number;
}

interface RehearsalOptions {
  readonly model: Model;
  readonly flags: RunFlags;
  readonly parts: SearchParts;
  readonly tokens: TextTokens;
  /** Of the block samples, in batches as they are timed. */
  readonly timed: Scorer;
  readonly memoryBytes: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Hears of the seconds timed, and those to be timed; may throw to stop. */
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * Rehearses the search on shapes, and times the dense model on the block samples, batch by batch
 * until the rate is known.
 */
async function dryRun(options: RehearsalOptions): Promise<DryRun> {
  const { model, flags, parts, tokens, timed, memoryBytes, now, onProgress } = options;
  const dense = denseShape(model.architecture.blocks);
  const { nll, secondsPerToken } = await timedPass(timed, dense, now, onProgress);
  const { block } = parts.scorers;
  const rate = secondsPerToken * block.tokens / block.fullCost(dense);
  const work = workload(model, flags, parts, tokens);
  return {
    steps: work.steps,
    candidates: work.candidates,
    blockTokens: Math.round(work.search),
    seconds: work.search * rate,
    refitSeconds: work.refits === 0 ? null : work.refits * rate,
    totalSeconds: totalOf(work) * rate,
    memoryBytes,
    shorter: shorterWays(model, flags, parts, tokens)
      .map(({ options, work }) => ({ options, totalSeconds: totalOf(work) * rate })),
    densePerplexity: perplexity(nll),
    timed: { sequences: nll.length, of: block.tokens / block.length },
  };
}
