import { type LayerSpec, mean, type ModelSpec, pruningRatio, ResumeError } from "@lopper/core";
import type { Scorer } from "@lopper/importance";
import { type Candidate, type CandidateName, nameOf } from "./candidate.ts";
import { fallsBeyondChance } from "./chance.ts";
import { type Cost, costBetween } from "./cost.ts";
import type { MeasureEvent } from "./gauge.ts";
import type { Exchange } from "./policy.ts";
import { rotated } from "./race/batches.ts";
import { type ScoreEvent, type SequenceNll, StepScores } from "./scores.ts";
import { compare, leaderOf, paired, survivors } from "./race/survivors.ts";
import type { SwapLine, SwapSummary, SwapTrial } from "./swap_line.ts";
import { lastShapes, type SwapPair, swapPairs } from "./swap_pairs.ts";

/** At most so many swaps are kept for a target. */
export const MOST_SWAPS = 12;
/** Of what may go, those of each kind that move the output of their block least: this share, and so many at least. */
const PROXY_SHARE = 1 / 3;
const PROXY_LEAST = 4;
/** What comes back and what goes is scored one by one on this share of the batches. */
const SINGLES_SHARE = 1 / 4;
/** Of the pairs, so many that promise most are scored together. */
const PAIRS_SCORED = 12;
/** What their race takes as a rule, in plans scored on everything: an estimate for the progress. */
const RACE_EVALUATIONS = 4;

/** What a search ended with. */
export interface SwapStart {
  readonly layers: readonly LayerSpec[];
  /** For each block the shape that it has, or had when it went. */
  readonly last: readonly LayerSpec[];
  /** Steps that were taken. */
  readonly steps: number;
}

export interface SwapOptions {
  /** The block samples. */
  readonly scorer: Scorer;
  /** Text on which no swap may raise the loss; null where none is kept aside. */
  readonly aside: Scorer | null;
  /** Lines of an earlier run; they are believed. */
  readonly recorded: readonly SwapLine[];
  readonly measure: () => Cost;
  /** Hears of work on the text kept aside, between two batches; may throw to stop. */
  readonly onWork?: () => void;
  /**
   * Measures what a swap would leave on the held-out text. @param swap how many were tried before it.
   * @returns whether it may stay.
   */
  gauge(
    swap: number,
    layers: readonly LayerSpec[],
  ): AsyncGenerator<MeasureEvent, boolean>;
}

export type SwapEvent =
  /** To be recorded, unless it was resumed, before the search goes on. */
  | { readonly type: "swap"; readonly line: SwapLine; readonly resumed: boolean }
  | MeasureEvent
  | {
    readonly type: "progress";
    readonly stage: "swaps";
    readonly ratio: number;
    readonly done: number;
    readonly total: number;
  };

export interface SwapResult {
  readonly layers: readonly LayerSpec[];
  readonly last: readonly LayerSpec[];
  readonly lines: readonly SwapLine[];
}

/**
 * A local search around the plan of a greedy one, which never takes a step back: each swap gives one block or group back and
 * removes another one (an exchange as in Kernighan and Lin, 1970, and in the add–drop searches for the p-median problem),
 * as long as the loss falls. Every single change that a proxy does not rule out is scored on some of the sequences first; a pair is expected to do what its
 * halves do together, and the pairs that promise most run a race on more and more sequences, against the plan that is
 * there. Those left at its end are tried, the best first: one is kept if the mean NLL of the block samples falls beyond
 * chance, sequence by sequence, and that of the text kept aside does not rise. Kept swaps lower the loss on the same
 * sequences each time, so that no plan comes twice; the search ends where a race has no swap to keep.
 * @throws {ResumeError} when `recorded` is not of this search.
 */
export async function* swapSearch(
  spec: ModelSpec,
  { layers, last, steps }: SwapStart,
  exchange: Exchange,
  options: SwapOptions,
): AsyncGenerator<SwapEvent, SwapResult> {
  const { scorer, measure, onWork } = options;
  const recorded = options.recorded.filter((line) => line.steps === steps);
  const trials = recorded.filter((line) => line.type === "swap");
  const summary = recorded.find((line) => line.type === "swaps");
  const lines: SwapTrial[] = [];
  const known = trials[0]?.before ?? summary?.before;
  let mark = measure();
  const lap = (): Cost => {
    const before = mark;
    mark = measure();
    return costBetween(before, mark);
  };
  const before = known ?? (await scorer.evaluate(layers, onWork)).sequenceNll;
  let plan: Plan = { layers, last, ratio: pruningRatio(spec, layers), nll: before, aside: null };
  const visited = new Set([keyOf(layers)]);
  let kept = 0, work = 0;
  while (kept < MOST_SWAPS) {
    const pairs = swapPairs(
      spec,
      exchange.target,
      exchange.restorations(plan.layers, plan.last),
      exchange.removals(plan.layers),
    ).filter(({ both }) => !visited.has(keyOf(both.layers)));
    const refused: SwapPair[] = [];
    let taken: { readonly pair: SwapPair; readonly line: SwapTrial } | null = null;
    while (!taken && lines.length < trials.length) {
      const line = trials[lines.length];
      const pair = pairs.find((pair) => isNamed(pair, line));
      if (!pair || pair.ratio !== line.ratio) throw foreign(line);
      if (line.kept) {
        yield* options.gauge(lines.length, pair.both.layers);
        taken = { pair, line };
      } else refused.push(pair);
      lines.push(line);
      yield { type: "swap", line, resumed: true };
    }
    if (!taken && summary) break;
    if (!taken) {
      const raced = yield* race(plan, pairs, { scorer, number: kept, work });
      work = raced.work;
      for (const { pair, nll } of raced.finalists) {
        if (refused.includes(pair)) continue;
        const judged = yield* judge(plan, pair, nll, lines.length, options);
        const ratio = pair.ratio;
        const line: SwapTrial = {
          type: "swap",
          steps,
          ...namesOf(pair),
          ratio,
          ...judged,
          cost: lap(),
        };
        lines.push(line);
        yield { type: "swap", line, resumed: false };
        if (line.kept) {
          taken = { pair, line };
          break;
        }
        refused.push(pair);
      }
    }
    for (const { both } of refused) visited.add(keyOf(both.layers));
    if (!taken) break;
    plan = {
      layers: taken.pair.both.layers,
      last: lastShapes(taken.pair.both.layers, plan.last),
      ratio: taken.pair.ratio,
      nll: taken.line.after,
      aside: taken.line.aside?.after ?? null,
    };
    visited.add(keyOf(plan.layers));
    kept += 1;
  }
  if (lines.length < trials.length) throw foreign(trials[lines.length]);
  const end: SwapSummary = summary ??
    { type: "swaps", steps, tried: lines.length, kept, before, after: plan.nll, cost: lap() };
  yield { type: "swap", line: end, resumed: summary !== undefined };
  scorer.release();
  return { layers: plan.layers, last: plan.last, lines: [...lines, end] };
}

/** A plan that swaps begin from. */
interface Plan extends Pick<SwapStart, "layers" | "last"> {
  readonly ratio: number;
  /** Mean NLL of each sequence of the block samples, in nats per token. */
  readonly nll: readonly number[];
  /** The same of the text kept aside; null as long as nobody asked. */
  aside: readonly number[] | null;
}

/** Whether a swap stays, and what says so. @param number how many were tried before it. */
async function* judge(
  plan: Plan,
  { both }: SwapPair,
  nll: readonly number[],
  number: number,
  { aside, gauge, onWork }: SwapOptions,
): AsyncGenerator<MeasureEvent, Pick<SwapTrial, "before" | "after" | "aside" | "kept">> {
  const found = { before: plan.nll, after: nll, aside: null };
  if (!fallsBeyondChance(plan.nll, nll)) return { ...found, kept: false };
  let apart: SwapTrial["aside"] = null;
  if (aside) {
    plan.aside ??= (await aside.evaluate(plan.layers, onWork)).sequenceNll;
    apart = { before: plan.aside, after: (await aside.evaluate(both.layers, onWork)).sequenceNll };
    if (!(mean(apart.after) <= mean(apart.before))) return { ...found, aside: apart, kept: false };
  }
  return { ...found, aside: apart, kept: yield* gauge(number, both.layers) };
}

/** What a race leaves: swaps that were scored on everything, the lowest loss first. */
interface RaceResult {
  readonly finalists: readonly { readonly pair: SwapPair; readonly nll: readonly number[] }[];
  /** Candidate-tokens of all races so far. */
  readonly work: number;
}

/** Finds the swaps that promise most, and runs them against the plan that is there. */
async function* race(
  { layers, ratio, nll: trunkNll }: Plan,
  pairs: readonly SwapPair[],
  options: {
    readonly scorer: Scorer;
    /** Each race begins on other sequences, so that no part of the text decides again and again. */
    readonly number: number;
    /** Candidate-tokens of those before. */
    readonly work: number;
  },
): AsyncGenerator<SwapEvent, RaceResult> {
  const { scorer } = options;
  let { work } = options;
  const batches = rotated(scorer.batches.length, options.number);
  const some = batches.slice(0, Math.ceil(batches.length * SINGLES_SHARE));
  const scoring = { step: 0, trunk: layers, scorer, trunkNll, recorded: [], measure: noCost };
  const restored = [...new Set(pairs.map(({ restored }) => restored))];
  const removals = [...new Set(pairs.flatMap(({ removed }) => removed ?? []))];
  const expected =
    (restored.length + removals.length * PROXY_SHARE) * some.length / batches.length +
    Math.min(pairs.length, RACE_EVALUATIONS);
  const total = work + scorer.tokens * expected;
  const counted = async function* <T>(events: AsyncGenerator<ScoreEvent, T>) {
    let event = await events.next();
    for (; !event.done; event = await events.next()) {
      if (event.value.type !== "tokens") continue;
      work += event.value.tokens;
      const progress = { type: "progress", stage: "swaps", ratio, done: work } as const;
      yield { ...progress, total: Math.max(work, total) };
    }
    return event.value;
  };

  const moves = yield* counted(
    new StepScores({ ...scoring, candidates: removals }).perturbations(some[0]),
  );
  const singles = [...restored, ...(moves ? leastMoving(removals, moves) : removals)];

  const alone = new StepScores({ ...scoring, candidates: singles });
  yield* counted(scoreEach(alone, singles.map((_, i) => i), some));
  const change = new Map(
    singles.map((single, i) => [single, compare(alone.nll(i), trunkNll).behind]),
  );
  const promises = pairs.map((pair) => ({
    pair,
    change: (change.get(pair.restored) ?? NaN) +
      (pair.removed ? change.get(pair.removed) ?? NaN : 0),
  })).filter(({ change }) => Number.isFinite(change));
  const best = promises.toSorted((a, b) => a.change - b.change).slice(0, PAIRS_SCORED)
    .map(({ pair }) => pair);

  const together = new StepScores({ ...scoring, candidates: best.map(({ both }) => both) });
  /** The plan that is there, among the numbers of the pairs. */
  const trunk = best.length;
  const nll = (i: number): SequenceNll => i === trunk ? trunkNll : together.nll(i);
  let alive = best.map((_, i) => i);
  for (let n = some.length; alive.length > 0; n = Math.min(batches.length, 2 * n)) {
    yield* counted(scoreEach(together, alive, batches.slice(0, n)));
    alive = alive.filter((i) => Number.isFinite(together.perplexity(i)));
    if (n === batches.length) break;
    const all = [trunk, ...alive];
    alive = survivors(all, leaderOf(all, nll), paired(nll, trunkNll.length))
      .filter((i) => i !== trunk);
  }
  const finalists = alive.map((i) => ({ pair: best[i], nll: together.nll(i) as number[] }));
  return { finalists: finalists.sort((a, b) => mean(a.nll) - mean(b.nll)), work };
}

/** Of each kind those that move the output of their block least. */
function leastMoving(candidates: readonly Candidate[], moves: readonly number[]): Candidate[] {
  const byKind = Map.groupBy(candidates.keys(), (i) => candidates[i].candidateKind);
  return [...byKind.values()].flatMap((indices) =>
    indices.toSorted((a, b) => moves[a] - moves[b] || a - b)
      .slice(0, Math.max(PROXY_LEAST, Math.ceil(indices.length * PROXY_SHARE)))
      .map((i) => candidates[i])
  );
}

/** Scores candidates portion by portion, so that the block inputs that are kept serve all before they make room. */
async function* scoreEach(
  scores: StepScores,
  indices: readonly number[],
  batches: readonly number[],
): AsyncGenerator<ScoreEvent, void> {
  const { keptBatches } = scores.scorer;
  for (let from = 0; from < batches.length; from += keptBatches) {
    for (const i of indices) yield* scores.score(i, batches.slice(from, from + keptBatches));
  }
}

function noCost(): Cost {
  return { blockTokens: 0, seconds: 0 };
}

function namesOf({ restored, removed }: SwapPair): Pick<SwapTrial, "restored" | "removed"> {
  return { restored: nameOf(restored), removed: removed && nameOf(removed) };
}

function isNamed(pair: SwapPair, { restored, removed }: SwapTrial): boolean {
  const same = (a: CandidateName | null, b: CandidateName | null) =>
    a?.kind === b?.kind && a?.layer === b?.layer && a?.width === b?.width;
  const names = namesOf(pair);
  return same(names.restored, restored) && same(names.removed, removed);
}

/** Shapes in a form in which equal ones are equal. */
function keyOf(layers: readonly LayerSpec[]): string {
  return layers.map(({ attention, mlp }) =>
    `${attention?.kvHeads ?? 0} ${mlp?.intermediateSize ?? 0}`
  )
    .join();
}

function foreign({ steps, restored }: SwapTrial): ResumeError {
  return new ResumeError(
    `the journal has a swap after step ${steps} that gives back ${restored.kind} of layer ${restored.layer} (width ` +
      `${restored.width}), which this search cannot try there; it is of another search (start again with --overwrite)`,
  );
}
