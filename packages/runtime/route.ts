import type { Routing } from "@lopper/core";

/** Which rows go to an expert, and what counts of what it computes of them. */
export interface RoutedRows {
  /** Ascending. */
  readonly rows: readonly number[];
  /** One for each row. */
  readonly weights: readonly number[];
}

/**
 * Sends rows to experts: for each expert the rows that go there. Of experts with the same score the
 * first ones are chosen. Sums are in double precision.
 * @param scores of the experts that are there, row-major, as the router puts them out.
 */
export function route(
  scores: Float32Array,
  experts: number,
  { topK, softmaxOver, renormalised }: Routing,
): readonly RoutedRows[] {
  const routed = Array.from({ length: experts }, () => ({
    rows: [] as number[],
    weights: [] as number[],
  }));
  const count = Math.min(topK, experts);
  for (let row = 0; row * experts < scores.length; row++) {
    const own = scores.subarray(row * experts, (row + 1) * experts);
    const chosen = highest(own, count);
    const kept = chosen.map((expert) => own[expert]);
    const among: Iterable<number> = softmaxOver === "chosen" || renormalised ? kept : own;
    const most = own[chosen[0]];
    let sum = 0;
    for (const score of among) sum += Math.exp(score - most);
    for (const expert of chosen) {
      routed[expert].rows.push(row);
      routed[expert].weights.push(Math.exp(own[expert] - most) / sum);
    }
  }
  return routed;
}

/** The places of the highest values, the highest first. */
function highest(values: Float32Array, count: number): number[] {
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
