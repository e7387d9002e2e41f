import assert from "node:assert/strict";
import { type Block, denseShape } from "./block.ts";
import { interpolation, latencyOf, type LatencyTable } from "./latency_table.ts";
import { reduction } from "./resource.ts";

const TABLE: LatencyTable = {
  pastTokens: 128,
  rounds: 9,
  rest: 10,
  curves: [
    { kind: "attention", unitWidth: 32, sizes: [1, 3], ms: [1, 3] },
    { kind: "mlp", unitWidth: 1, sizes: [32, 64, 128], ms: [2, 4, 6] },
  ],
};

/** A block of units of a width. */
function block(kind: string, dimension: string, units: number, width: number): Block {
  return {
    id: `0.${kind}`,
    layer: 0,
    kind,
    dimensions: [{ name: dimension, units }],
    weights: [{ name: "out", axes: [8, { dimension, width }] }],
  };
}
const BLOCKS = [block("attention", "kvGroups", 3, 32), block("mlp", "channels", 128, 1)];

Deno.test("latency table: a model takes what its blocks take, those between measured sizes on a line", () => {
  const resource = latencyOf(TABLE, BLOCKS);
  assert.equal(resource.block(0, { kvGroups: 2 }), 2);
  assert.equal(resource.block(1, { channels: 96 }), 5);
  assert.equal(resource.amount([{ kvGroups: 2 }, { channels: 96 }]), 10 + 2 + 5);
  assert.equal(resource.amount([null, null]), 10, "what is removed takes nothing");
  assert.equal(reduction(resource, denseShape(BLOCKS), denseShape(BLOCKS)), 0);
  const less = reduction(resource, denseShape(BLOCKS), [{ kvGroups: 3 }, null]);
  assert.ok(Math.abs(less - 600 / 19) < 1e-9, `${less}`);
});

Deno.test("latency table: a smaller block is never predicted to take longer, nor any less than nothing", () => {
  const times = interpolation({ sizes: [10, 20, 30, 40], ms: [1, 5, 3, 7] });
  let last = 0;
  for (let size = 0; size <= 60; size++) {
    assert.ok(times(size) >= last, `${size}: ${times(size)} below ${last}`);
    last = times(size);
  }
  // 20 and 30 are put together at their means
  assert.equal(times(25), 4);
  assert.equal(interpolation({ sizes: [10, 20], ms: [1, 9] })(0), 0);
});

Deno.test("latency table: what was never measured is said", () => {
  const multiHead = latencyOf(TABLE, [block("attention", "kvGroups", 2, 16)]);
  assert.throws(
    () => multiHead.block(0, { kvGroups: 1 }),
    /no attention with 16 channels in a unit/,
  );
  assert.throws(() => interpolation({ sizes: [], ms: [] })(3), /no sizes/);
});
