import type { Block } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import assert from "node:assert/strict";
import { rankByRouting } from "./rank_by_routing.ts";
import { msan } from "./rankings/msan.ts";

/** What experts put out, by their numbers: the last ones most. */
function ranked(groups: number | undefined, lying: readonly number[], kept: number) {
  const dimension = { name: "experts", units: 6, ...(groups !== undefined && { groups }) };
  const block = { dimensions: [dimension] } as unknown as Block;
  const decoder = {
    blocks: [block],
    weights: { ranking: [{ experts: lying }] },
  } as unknown as Decoder;
  const those = lying.slice(0, kept);
  const experts = new Map([[0, {
    tokens: new Float64Array(kept).fill(2),
    squares: Float64Array.from(those, (unit) => 2 * unit),
    weighted: new Float64Array(kept),
  }]]);
  return rankByRouting(decoder, [{ experts: kept }], "experts", msan, { experts });
}

Deno.test("ranking by routing: the experts that put out most come first, and those that went stay", () => {
  assert.deepEqual(ranked(undefined, [2, 0, 5, 1, 4, 3], 6), [[5, 4, 3, 2, 1, 0]]);
  assert.deepEqual(ranked(undefined, [2, 0, 5, 1, 4, 3], 4), [[5, 2, 1, 0, 4, 3]]);
});

Deno.test("ranking by routing: groups take turns, each by its own experts", () => {
  assert.deepEqual(ranked(2, [0, 3, 1, 4, 2, 5], 6), [[2, 5, 1, 4, 0, 3]]);
  assert.deepEqual(ranked(3, [1, 3, 4, 0, 2, 5], 3), [[1, 3, 4, 0, 2, 5]]);
});
