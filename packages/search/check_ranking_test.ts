import type { Block, KeptByBlock } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { rankedState, rankingFault } from "./check_ranking.ts";
import { denseState } from "./state.ts";

const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 21);
const units = Array.from({ length: 32 }, (_, i) => i);
const ranking = fc.shuffledSubarray(units, { minLength: 32 });
const rankings = fc.tuple(ranking, ranking, ranking);

/** Three blocks with widgets, and one without. */
const BLOCKS: readonly Block[] = ["widgets", "widgets", "bolts", "widgets"].map((name, i) => ({
  id: `${i}.toy`,
  layer: i,
  kind: "toy",
  dimensions: [{ name, units: 32 }],
  weights: [],
}));
type Rankings = readonly (readonly number[] | null)[];
const ofBlocks = ([a, b, c]: Rankings): Rankings => [a, b, null, c];
const faultIn = (kept: KeptByBlock, rankings: Rankings) =>
  rankingFault({ ...denseState(BLOCKS), kept }, { dimension: "widgets", units: rankings });
const ALL = denseState(BLOCKS).kept;

Deno.test("ranking: any permutation of each block's units is one, and nothing else", () => {
  fc.assert(
    fc.property(
      rankings,
      fc.nat(2),
      fc.nat(31),
      fc.integer({ min: -2, max: 40 }),
      (all, n, at, to) => {
        const fault = (rankings: Rankings) => faultIn(ALL, ofBlocks(rankings));
        assert.equal(fault(all), null);
        const changed = all.with(n, all[n].with(at, to));
        assert.equal(fault(changed) === null, all[n][at] === to);
        const named = new RegExp(`32 widgets of block ${[0, 1, 3][n]}\\.toy$`);
        assert.match(fault(all.with(n, all[n].toSpliced(at, 1)))!, named);
        assert.match(fault(([] as (number[] | null)[]).concat(all).with(n, null))!, named);
        assert.match(faultIn(ALL, all)!, /it ranks 3 blocks, and the model has 4/);
      },
    ),
    { numRuns: 100, seed: SEED },
  );
});

Deno.test("ranking: a block that lacks the dimension has none", () => {
  assert.match(faultIn(ALL, [units, units, units, units])!, /the 0 widgets of block 2\.toy/);
});

Deno.test("ranking: units that went stay behind those that are there", () => {
  fc.assert(
    fc.property(rankings, rankings, fc.integer({ min: 1, max: 31 }), (before, after, count) => {
      const first = ofBlocks(before).map((ranking) => ranking?.slice(0, count) ?? null);
      const kept = first.map((those, at) =>
        those ? { widgets: those.toSorted((a, b) => a - b) } : ALL[at]
      );
      const fault = faultIn(kept, ofBlocks(after));
      const same = first.every((those, at) =>
        (those ?? []).every((unit) => ofBlocks(after)[at]!.slice(0, count).includes(unit))
      );
      assert.equal(fault === null, same, fault ?? "");
      // a permutation of those that are there, and what went behind it
      const moved = before.map((ranking) => [
        ...ranking.slice(0, count).toReversed(),
        ...ranking.slice(count),
      ]);
      assert.equal(faultIn(kept, ofBlocks(moved)), null);
      assert.equal(faultIn(kept.map(() => null), ofBlocks(after)), null, "of blocks that are gone");
    }),
    { numRuns: 100, seed: SEED },
  );
});

Deno.test("ranking: a new ranking holds for the blocks that it is of", () => {
  const state = rankedState(denseState(BLOCKS), {
    dimension: "widgets",
    units: ofBlocks([units.toReversed(), units, units]),
  });
  assert.deepEqual(state.ranking[0], { widgets: units.toReversed() });
  assert.deepEqual(state.ranking[2], { bolts: units });
});
