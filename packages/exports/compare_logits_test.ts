import assert from "node:assert/strict";
import { compareLogits } from "./compare_logits.ts";

Deno.test("logits: equal ones differ by nothing, a constant moves no probability", () => {
  const a = Float32Array.of(1, 2, 3, 0, 0, 5);
  assert.deepEqual(compareLogits(a, a, 3), { maxAbs: 0, meanKl: 0, sameTop: 1, positions: 2 });
  const moved = compareLogits(a, a.map((x) => x + 2), 3);
  assert.equal(moved.maxAbs, 2);
  assert.ok(Math.abs(moved.meanKl) < 1e-12);
});

Deno.test("logits: the divergence is that of the definition, from the reference", () => {
  // softmax [1/4, 3/4] against [1/2, 1/2]; the second position is the same
  const a = Float32Array.of(0, Math.log(3), 1, 0);
  const b = Float32Array.of(0, 0, 1, 0);
  const { meanKl, sameTop, maxAbs } = compareLogits(a, b, 2);
  const expected = (0.25 * Math.log(0.5) + 0.75 * Math.log(1.5)) / 2;
  assert.ok(Math.abs(meanKl - expected) < 1e-7, `${meanKl}`);
  assert.equal(sameTop, 0.5);
  assert.equal(maxAbs, Math.fround(Math.log(3)));
});

Deno.test("logits: what is not a number is never within a tolerance", () => {
  const { maxAbs, meanKl } = compareLogits(Float32Array.of(0, 1), Float32Array.of(0, NaN), 2);
  assert.ok(Number.isNaN(maxAbs) && Number.isNaN(meanKl));
});

Deno.test("logits: rows of another length are refused", () => {
  for (const [a, b, width] of [[4, 2, 2], [3, 3, 2], [0, 0, 2]]) {
    assert.throws(() => compareLogits(new Float32Array(a), new Float32Array(b), width), RangeError);
  }
});
