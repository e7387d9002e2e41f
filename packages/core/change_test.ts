import assert from "node:assert/strict";
import type { Block } from "./block.ts";
import { afterChanges, allKept, type Candidate, removalsOf, shapeOfKept } from "./change.ts";
import { PlanError } from "./errors.ts";

const BLOCKS: readonly Block[] = ["0.toy", "1.toy"].map((id, layer) => ({
  id,
  layer,
  kind: "toy",
  dimensions: [{ name: "widgets", units: 4 }],
  weights: [],
}));
const ALL = allKept(BLOCKS);
const narrow = (removed: readonly number[], part = "0.toy"): Candidate => [
  { part, dimension: "widgets", removed },
];
const gone = (part: string): Candidate => [{ part, dimension: null, removed: [] }];

Deno.test("what is kept is the fold of the changes, whatever their order", () => {
  const kept = [narrow([1]), narrow([3]), gone("1.toy")].flat();
  for (const changes of [kept, kept.toReversed()]) {
    assert.deepEqual(afterChanges(BLOCKS, ALL, changes), [{ widgets: [0, 2] }, null]);
  }
  assert.deepEqual(shapeOfKept(BLOCKS, afterChanges(BLOCKS, ALL, kept)), [{ widgets: 2 }, null]);
});

Deno.test("what a swap brings back are the units that it names, also of a block that was gone", () => {
  const kept = afterChanges(BLOCKS, ALL, [...gone("0.toy"), ...narrow([0, 1], "1.toy")]);
  const swapped = afterChanges(BLOCKS, kept, [
    { part: "0.toy", dimension: "widgets", removed: [], restored: [1, 2] },
    { part: "1.toy", dimension: "widgets", removed: [3], restored: [0] },
  ]);
  assert.deepEqual(swapped, [{ widgets: [1, 2] }, { widgets: [0, 2] }]);
});

Deno.test("the order of removal names a block where it went last, and none that came back", () => {
  const back = { part: "0.toy", dimension: "widgets", removed: [], restored: [1] };
  assert.deepEqual(removalsOf([...gone("0.toy"), ...gone("1.toy"), back]), ["1.toy"]);
  assert.deepEqual(
    removalsOf([...gone("0.toy"), ...gone("1.toy"), back, ...gone("0.toy")]),
    ["1.toy", "0.toy"],
  );
});

Deno.test("a change that cannot be is refused by a sentence that names the block and the units", () => {
  const refused: readonly (readonly [Candidate, RegExp])[] = [
    [gone("2.toy"), /no block 2\.toy/],
    [[...gone("0.toy"), ...gone("0.toy")], /0\.toy goes twice/],
    [[{ part: "0.toy", dimension: "heads", removed: [0] }], /0\.toy has no heads/],
    [[{ part: "0.toy", dimension: null, removed: [1] }], /as a whole/],
    [narrow([]), /names no widgets/],
    [narrow([1, 1]), /1 is among the widgets of block 0\.toy that go/],
    [narrow([4]), /stay below 4/],
    [[...narrow([1]), ...narrow([1])], /widgets 1 of block 0\.toy go twice/],
    [[...gone("0.toy"), ...narrow([1])], /go, which is gone/],
    [narrow([0, 1, 2, 3]), /loses all its widgets/],
    [
      [{ part: "0.toy", dimension: "widgets", removed: [], restored: [2] }],
      /widgets 2 of block 0\.toy come back, and are there/,
    ],
  ];
  for (const [changes, message] of refused) {
    assert.throws(
      () => afterChanges(BLOCKS, ALL, changes),
      (error) => error instanceof PlanError && message.test(error.message),
    );
  }
});
