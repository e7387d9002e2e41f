import { BEST_OF_GROUP, type Routing } from "@lopper/core";

/** Which rows go to an expert, and what counts of what it computes of them. */
export interface RoutedRows {
  /** Ascending. */
  readonly rows: readonly number[];
  /** One for each row. */
  readonly weights: readonly number[];
}

/** The experts that rows may go to, as they lie. */
export interface RoutedExperts {
  readonly count: number;
  /** What is added to what the score of each became, for the choice alone. */
  readonly correction?: Float32Array;
  /** The group of each, from 0 on; without it, all are in one. */
  readonly groups?: readonly number[];
}

/**
 * Sends rows to experts: for each expert the rows that go there. Of experts with the same score the
 * first ones are chosen, and so are groups. Sums are in double precision.
 * @param scores of the experts that are there, row-major, as the router puts them out.
 */
export function route(
  scores: Float32Array,
  { count: experts, correction, groups }: RoutedExperts,
  routing: Routing,
): readonly RoutedRows[] {
  const routed = Array.from({ length: experts }, () => ({
    rows: [] as number[],
    weights: [] as number[],
  }));
  const plain = !correction && !groups;
  for (let row = 0; row * experts < scores.length; row++) {
    const own = scores.subarray(row * experts, (row + 1) * experts);
    // Neither a softmax nor a sigmoid changes which ones are highest.
    const worth = plain ? own : weighed(own, routing);
    if (correction) correction.forEach((more, expert) => worth[expert] += more);
    if (groups) leaveGroups(worth, groups, routing.topGroups);
    const chosen = highest(worth, Math.min(routing.topK, experts));
    const weights = weightsOf(own, chosen, routing);
    chosen.forEach((expert, i) => {
      routed[expert].rows.push(row);
      routed[expert].weights.push(weights[i]);
    });
  }
  return routed;
}

/** What scores become before any is chosen. */
function weighed(scores: Float32Array, { softmaxOver }: Routing): Float64Array {
  if (softmaxOver === "all") return softmax(scores);
  return softmaxOver === null ? Float64Array.from(scores, sigmoid) : Float64Array.from(scores);
}

/** What counts of each expert that a row goes to. */
function weightsOf(
  scores: Float32Array,
  chosen: readonly number[],
  { softmaxOver, renormalised, minSum = 0, factor = 1 }: Routing,
): readonly number[] {
  const those = of(scores, chosen);
  // Divided by their sum, shares of all are shares of those that are chosen.
  const alone = softmaxOver === "chosen" || renormalised && minSum === 0;
  const gains = softmaxOver === null
    ? those.map(sigmoid)
    : alone
    ? [...softmax(those)]
    : of(softmax(scores), chosen);
  const sum = renormalised ? Math.max(minSum, gains.reduce((a, b) => a + b)) : 1;
  return gains.map((gain) => factor * gain / sum);
}

function of(values: ArrayLike<number>, chosen: readonly number[]): number[] {
  return chosen.map((expert) => values[expert]);
}

function softmax(scores: ArrayLike<number>): Float64Array {
  let most = -Infinity, sum = 0;
  for (let i = 0; i < scores.length; i++) most = Math.max(most, scores[i]);
  const gains = Float64Array.from(scores, (score) => Math.exp(score - most));
  for (const gain of gains) sum += gain;
  return gains.map((gain) => gain / sum);
}

function sigmoid(score: number): number {
  return 1 / (1 + Math.exp(-score));
}

/** Makes experts of all but the best groups worth nothing, so that none of them is chosen. */
function leaveGroups(worth: Float64Array | Float32Array, groups: readonly number[], top?: number) {
  const count = groups.reduce((a, b) => Math.max(a, b)) + 1;
  if (top === undefined || top >= count) return;
  const own = Array.from({ length: count }, (): number[] => []);
  groups.forEach((group, expert) => own[group].push(worth[expert]));
  const best = own.map((values) =>
    highest(values, BEST_OF_GROUP).reduce((sum, place) => sum + values[place], 0)
  );
  const kept = new Set(highest(best, top));
  groups.forEach((group, expert) => {
    if (!kept.has(group)) worth[expert] = -Infinity;
  });
}

/** The places of the highest values, the highest first. */
function highest(values: ArrayLike<number>, count: number): number[] {
  const places: number[] = [];
  for (let place = 0; place < values.length; place++) {
    let at = places.length;
    while (at > 0 && values[places[at - 1]] < values[place]) at--;
    if (at < count) {
      places.splice(at, 0, place);
      if (places.length > count) places.pop();
    }
  }
  return places;
}
