import { mean } from "@lopper/core";
import { NO_COST } from "../cost.ts";
import type { Proposal } from "../proposal.ts";
import { rotated } from "../race/batches.ts";
import { compare, leaderOf, paired, successiveHalving } from "../race/successive_halving.ts";
import type { Scorer } from "@lopper/importance";
import { type ScoreEvent, type SequenceNll, StepScores } from "../scores.ts";
import type { SwapPair } from "./swap_pairs.ts";
import type { SwapBase, SwapEvent } from "./swap_state.ts";

/**
 * Of what may go, those of each kind that move the output of their block least: this share, and so
 * many at least.
 */
const PROXY_SHARE = 1 / 3;
const MIN_SCORED = 4;
/** What comes back and what goes is scored one by one on this share of the batches. */
const SINGLES_SHARE = 1 / 4;
/** Of the pairs, so many that promise most are scored together. */
const PAIRS_SCORED = 12;
/** What their race takes as a rule, in plans scored on everything: an estimate for the progress. */
const RACE_EVALUATIONS = 4;

/** A swap that was scored on everything: mean NLL by sequence, in nats per token. */
export interface Finalist {
  readonly pair: SwapPair;
  readonly nll: readonly number[];
}

/** What a race leaves. */
export interface SwapRaceResult {
  /** The lowest loss first. */
  readonly finalists: readonly Finalist[];
  /** Candidate-tokens of all races so far. */
  readonly work: number;
}

/** What the parts of a race score with. */
interface SwapRace {
  readonly base: SwapBase;
  readonly scorer: Scorer;
  /** All batches, as this race goes through them. */
  readonly batches: readonly number[];
  /** Those on which everything is scored first. */
  readonly some: readonly number[];
}

/** Finds the swaps that promise most, and runs them against the plan that is there. */
export async function* raceSwaps(
  base: SwapBase,
  pairs: readonly SwapPair[],
  { scorer, number, work }: {
    readonly scorer: Scorer;
    /** Each race begins on other sequences, so that no part of the text decides again and again. */
    readonly number: number;
    /** Candidate-tokens of those before. */
    readonly work: number;
  },
): AsyncGenerator<SwapEvent, SwapRaceResult> {
  const batches = rotated(scorer.batches.length, number);
  const some = batches.slice(0, Math.ceil(batches.length * SINGLES_SHARE));
  const race: SwapRace = { base, scorer, batches, some };
  const restored = [...new Set(pairs.map(({ restored }) => restored))];
  const removals = [...new Set(pairs.flatMap(({ removed }) => removed ?? []))];
  const expected =
    (restored.length + removals.length * PROXY_SHARE) * some.length / batches.length +
    Math.min(pairs.length, RACE_EVALUATIONS);
  const total = work + scorer.tokens * expected;
  let done = work;
  const racing = racePairs(race, pairs, restored, removals);
  let event = await racing.next();
  for (; !event.done; event = await racing.next()) {
    if (event.value.type !== "tokens") continue;
    done += event.value.tokens;
    const progress = { type: "progress", stage: "swaps", ratio: base.ratio, done } as const;
    yield { ...progress, total: Math.max(done, total) };
  }
  return { finalists: event.value, work: done };
}

async function* racePairs(
  race: SwapRace,
  pairs: readonly SwapPair[],
  restored: readonly Proposal[],
  removals: readonly Proposal[],
): AsyncGenerator<ScoreEvent, readonly Finalist[]> {
  const likely = yield* likelyRemovals(race, removals);
  const changes = yield* changesAlone(race, [...restored, ...likely]);
  return yield* runTogether(race, promising(pairs, changes));
}

/**
 * Of each kind those that move the output of their block least; all where the scorer cannot tell.
 */
async function* likelyRemovals(
  race: SwapRace,
  removals: readonly Proposal[],
): AsyncGenerator<ScoreEvent, readonly Proposal[]> {
  const moves = yield* scoresOf(race, removals).perturbations(race.some[0]);
  if (!moves) return removals;
  const byKind = Map.groupBy(removals.keys(), (i) => removals[i].likeness);
  return [...byKind.values()].flatMap((indices) =>
    indices.toSorted((a, b) => moves[a] - moves[b] || a - b)
      .slice(0, Math.max(MIN_SCORED, Math.ceil(indices.length * PROXY_SHARE)))
      .map((i) => removals[i])
  );
}

/** By how much each change alone raises the loss on some of the sequences, in nats per token. */
async function* changesAlone(
  race: SwapRace,
  singles: readonly Proposal[],
): AsyncGenerator<ScoreEvent, ReadonlyMap<Proposal, number>> {
  const alone = scoresOf(race, singles);
  yield* scoreInPortions(alone, singles.map((_, i) => i), race.some);
  return new Map(
    singles.map((single, i) => [single, compare(alone.nll(i), race.base.nll).behind]),
  );
}

/** The pairs whose halves promise most together. */
function promising(
  pairs: readonly SwapPair[],
  changes: ReadonlyMap<Proposal, number>,
): readonly SwapPair[] {
  const of = (half: Proposal) => changes.get(half) ?? NaN;
  return pairs
    .map((pair) => ({
      pair,
      change: of(pair.restored) + (pair.removed ? of(pair.removed) : 0),
    }))
    .filter(({ change }) => Number.isFinite(change))
    .sort((a, b) => a.change - b.change)
    .slice(0, PAIRS_SCORED)
    .map(({ pair }) => pair);
}

/** Runs pairs on more and more sequences, against the plan that is there. */
async function* runTogether(
  race: SwapRace,
  pairs: readonly SwapPair[],
): AsyncGenerator<ScoreEvent, readonly Finalist[]> {
  const { base, batches, some } = race;
  const together = scoresOf(race, pairs.map(({ both }) => both));
  /** The plan that is there, among the numbers of the pairs. */
  const baseIndex = pairs.length;
  const nll = (i: number): SequenceNll => i === baseIndex ? base.nll : together.nll(i);
  let alive = pairs.map((_, i) => i);
  for (let n = some.length; alive.length > 0; n = Math.min(batches.length, 2 * n)) {
    yield* scoreInPortions(together, alive, batches.slice(0, n));
    alive = alive.filter((i) => Number.isFinite(together.perplexity(i)));
    if (n === batches.length) break;
    const all = [baseIndex, ...alive];
    alive = successiveHalving(all, leaderOf(all, nll), paired(nll, base.nll.length))
      .filter((i) => i !== baseIndex);
  }
  return alive.map((i) => ({ pair: pairs[i], nll: together.nll(i) as number[] }))
    .sort((a, b) => mean(a.nll) - mean(b.nll));
}

/**
 * Scores of candidates that change the plan that is there; a swap is recorded as a whole, and they
 * are not.
 */
function scoresOf({ base, scorer }: SwapRace, candidates: readonly Proposal[]): StepScores {
  return new StepScores({
    step: 0,
    base: base.state.shape,
    candidates,
    scorer,
    baseNll: base.nll,
    recorded: [],
    measure: () => NO_COST,
  });
}

/**
 * Scores candidates portion by portion, so that the block inputs that are kept serve all before
 * they make room.
 */
async function* scoreInPortions(
  scores: StepScores,
  indices: readonly number[],
  batches: readonly number[],
): AsyncGenerator<ScoreEvent, void> {
  const { keptBatches } = scores.scorer;
  for (let from = 0; from < batches.length; from += keptBatches) {
    const portion = batches.slice(from, from + keptBatches);
    scores.expect(indices, portion);
    for (const i of indices) yield* scores.score(i, portion);
  }
}
