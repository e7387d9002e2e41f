import assert from "node:assert/strict";
import { interpolation, latencyOf, type LatencyTable } from "./latency_table.ts";
import { reduction } from "./resource.ts";

const TABLE: LatencyTable = {
  pastTokens: 128,
  rounds: 9,
  rest: 10,
  attention: [{ groupSize: 2, sizes: [1, 3], ms: [1, 3] }],
  mlp: { sizes: [32, 64, 128], ms: [2, 4, 6] },
};
const layer = (kvHeads: number, intermediateSize: number) => ({
  attention: { queryHeads: 2 * kvHeads, kvHeads },
  mlp: { intermediateSize },
});

Deno.test("latency table: a model takes what its blocks take, those between measured sizes on a line", () => {
  const { amount, block } = latencyOf(TABLE);
  assert.equal(block(layer(2, 96), "attention"), 2);
  assert.equal(block(layer(2, 96), "mlp"), 5);
  assert.equal(amount([layer(3, 128), layer(2, 96)]), 10 + 3 + 6 + 2 + 5);
  assert.equal(amount([{ attention: null, mlp: null }]), 10, "what is removed takes nothing");
  const dense = [layer(3, 128)];
  assert.equal(reduction(latencyOf(TABLE), dense, dense), 0);
  const less = reduction(latencyOf(TABLE), dense, [{ ...layer(3, 128), mlp: null }]);
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
  const { block } = latencyOf(TABLE);
  const multiHead = { attention: { queryHeads: 2, kvHeads: 2 }, mlp: null };
  assert.throws(() => block(multiHead, "attention"), /no attention with 1 query heads/);
  assert.throws(() => interpolation({ sizes: [], ms: [] })(3), /no sizes/);
});
