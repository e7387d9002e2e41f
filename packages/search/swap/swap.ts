import type { Shape } from "@lopper/core";
import { type Cost, costBetween } from "../cost.ts";
import type { Exchange } from "../policy.ts";
import { savedBy } from "../saved.ts";
import type { SearchModel } from "../search_model.ts";
import { lastKept, stateAfter } from "../state.ts";
import { foreign, replaySwaps } from "./replay_swaps.ts";
import { type SwapPair, swapPairs } from "./swap_pairs.ts";
import { raceSwaps } from "./swap_race.ts";
import type {
  SwapBase,
  SwapEvent,
  SwapOptions,
  SwapResult,
  SwapStart,
  TriedSwaps,
} from "./swap_state.ts";
import { tryFinalists } from "./try_finalists.ts";
import type { SwapLine, SwapSummary, SwapTrial } from "../journal_lines.ts";

/** At most so many swaps are kept for a target. */
export const MAX_SWAPS = 12;

/**
 * A local search around the plan of a greedy one, which never takes a step back: each swap gives
 * one block or group back and removes another one (an exchange as in Kernighan and Lin, 1970, and
 * in the add–drop searches for the p-median problem), as long as the loss falls. Every single
 * change that a proxy does not rule out is scored on some of the sequences first; a pair is
 * expected to do what its halves do together, and the pairs that promise most run a race on more
 * and more sequences, against the plan that is there. Those left at its end are tried, the best
 * first: one is kept if the mean NLL of the block samples falls significantly, sequence by
 * sequence, and that of the validation text does not rise. Kept swaps lower the loss on the same
 * sequences each time, so that no plan comes twice; the search ends where a race has no swap to
 * keep.
 * @throws {ResumeError} when `recorded` is not of this search.
 */
export async function* swapSearch(
  model: SearchModel,
  { state, last, steps }: SwapStart,
  exchange: Exchange,
  options: SwapOptions,
): AsyncGenerator<SwapEvent, SwapResult> {
  const { scorer, gauge } = options;
  const { trials, summary } = recordedAfter(steps, options.recorded);
  const lap = lapsOf(options.measure);
  const before = trials[0]?.before ?? summary?.before ??
    (await scorer.evaluate(state.shape, options.onWork)).sequenceNll;
  let base: SwapBase = {
    state,
    last,
    ratio: savedBy(model.parameters, model.blocks, state.shape),
    nll: before,
    validation: null,
  };
  const visited = new Set([keyOf(state.shape)]);
  const lines: SwapTrial[] = [];
  let kept = 0, work = 0;
  while (kept < MAX_SWAPS) {
    const pairs = pairsOf(model, exchange, base, visited);
    let tried = yield* replaySwaps(pairs, trials.slice(lines.length), lines.length, gauge);
    lines.push(...tried.lines);
    if (!tried.taken && summary) break;
    if (!tried.taken) {
      const { refused } = tried;
      const raced = yield* raceSwaps(base, pairs, { scorer, number: kept, work });
      work = raced.work;
      const finalists = raced.finalists.filter(({ pair }) => !refused.includes(pair));
      tried = yield* tryFinalists(base, finalists, { steps, number: lines.length, lap }, options);
      lines.push(...tried.lines);
      refuse(visited, refused);
    }
    refuse(visited, tried.refused);
    if (!tried.taken) break;
    base = baseAfter(base, tried.taken);
    visited.add(keyOf(base.state.shape));
    kept += 1;
  }
  if (lines.length < trials.length) throw foreign(trials[lines.length]);
  const end: SwapSummary = summary ??
    { type: "swaps", steps, tried: lines.length, kept, before, after: base.nll, cost: lap() };
  yield { type: "swap", line: end, resumed: summary !== undefined };
  scorer.release();
  return { state: base.state, last: base.last, lines: [...lines, end] };
}

/** What an earlier run tried after so many steps, and what came of it where it came to an end. */
function recordedAfter(steps: number, lines: readonly SwapLine[]) {
  const recorded = lines.filter((line) => line.steps === steps);
  return {
    trials: recorded.filter((line) => line.type === "swap"),
    summary: recorded.find((line) => line.type === "swaps"),
  };
}

/** Says at each call what was done since the one before. */
function lapsOf(measure: () => Cost): () => Cost {
  let mark = measure();
  return () => {
    const before = mark;
    mark = measure();
    return costBetween(before, mark);
  };
}

/** The swaps of a plan that do not lead back to one that was there, or was refused. */
function pairsOf(
  model: SearchModel,
  { target, restorations, removals }: Exchange,
  { state, last }: SwapBase,
  visited: ReadonlySet<string>,
): readonly SwapPair[] {
  return swapPairs(model, target, state, restorations(state, last), removals(state))
    .filter(({ both }) => !visited.has(keyOf(both.shape)));
}

function refuse(visited: Set<string>, pairs: readonly SwapPair[]) {
  for (const { both } of pairs) visited.add(keyOf(both.shape));
}

function baseAfter(
  base: SwapBase,
  { pair, line }: NonNullable<TriedSwaps["taken"]>,
): SwapBase {
  const state = stateAfter(base.state, pair.both);
  return {
    state,
    last: lastKept(state, base.last),
    ratio: pair.ratio,
    nll: line.after,
    validation: line.validation?.after ?? null,
  };
}

/** Shapes in a form in which equal ones are equal. */
function keyOf(shape: Shape): string {
  return JSON.stringify(shape);
}
