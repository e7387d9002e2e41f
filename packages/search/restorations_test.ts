import { afterChanges, type Block, type KeptByBlock, shapeOfKept } from "@lopper/core";
import assert from "node:assert/strict";
import { restorations } from "./restorations.ts";
import { denseState, type SearchState } from "./state.ts";

/** Blocks of two dimensions each. */
const BLOCKS: readonly Block[] = [0, 1].map((layer) => ({
  id: `${layer}.toy`,
  layer,
  kind: "toy",
  dimensions: [{ name: "widgets", units: 4 }, { name: "bolts", units: 3 }],
  weights: [],
}));
const GROUPS = { widgets: 2, bolts: 1 };

function stateOf(kept: KeptByBlock): SearchState {
  const ranking = BLOCKS.map(() => ({ widgets: [3, 0, 1, 2], bolts: [0, 2, 1] }));
  return { ...denseState(BLOCKS, ranking), kept, shape: shapeOfKept(BLOCKS, kept) };
}

Deno.test("restorations: a block comes back with what it had of each dimension when it went", () => {
  const had = { widgets: [0, 3], bolts: [2] };
  const all = { widgets: [0, 1, 2, 3], bolts: [0, 1, 2] };
  const state = stateOf([null, all]);
  const [whole, ...others] = restorations(state, [had, all], { groups: GROUPS });
  assert.deepEqual(others, [], "nothing is missing of the other");
  assert.deepEqual(afterChanges(BLOCKS, state.kept, whole.changes), [had, all]);
  assert.equal(whole.key, "0.toy widgets→2, 0.toy bolts→1");
});

Deno.test("restorations: a group of what is missing comes back, the most important units of it", () => {
  const kept: KeptByBlock = [{ widgets: [3], bolts: [0, 1] }, {
    widgets: [0, 1, 3],
    bolts: [0, 1, 2],
  }];
  const found = restorations(stateOf(kept), kept, { groups: GROUPS });
  assert.deepEqual(
    found.map(({ changes: [{ part, dimension, restored }] }) => [
      part,
      dimension,
      restored,
    ]),
    [
      ["0.toy", "widgets", [0, 1]],
      ["0.toy", "bolts", [2]],
      ["1.toy", "widgets", [2]],
    ],
  );
});
