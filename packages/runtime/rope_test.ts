import assert from "node:assert/strict";
import { ropeTable } from "./rope.ts";

/** Six float32 roundings at most lie between a frequency here and the same in float64. */
const RELATIVE = 6 * 2 ** -24;

function plainFrequency(theta: number, headDim: number, i: number): number {
  return Math.exp(-2 * i / headDim * Math.log(theta));
}

Deno.test("rope: a table holds cosine and sine of position times frequency, row by row", () => {
  const rope = { theta: 1e4, scaling: null };
  const headDim = 6, positions = 40;
  const table = ropeTable(rope, headDim, positions);
  assert.equal(table.positions, positions);
  assert.equal(table.cos.length, positions * headDim / 2);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < headDim / 2; i++) {
      const angle = p * plainFrequency(1e4, headDim, i);
      // the angle is rounded, too
      const tolerance = 2 ** -23 + RELATIVE * angle;
      const at = p * headDim / 2 + i;
      assert.ok(Math.abs(table.cos[at] - Math.cos(angle)) <= tolerance, `cos ${p}, ${i}`);
      assert.ok(Math.abs(table.sin[at] - Math.sin(angle)) <= tolerance, `sin ${p}, ${i}`);
    }
  }
  assert.equal(ropeTable(rope, headDim, 0).cos.length, 0);
});
