import assert from "node:assert/strict";
import { compare, leaderOf, paired, successiveHalving } from "./successive_halving.ts";

const table = (rows: readonly (readonly (number | undefined)[])[]) => (i: number) => rows[i];

/** Those that survive when nothing but these sequences, of `total`, is known. */
function surviving(indices: readonly number[], nll: ReturnType<typeof table>, total: number) {
  return successiveHalving(indices, leaderOf(indices, nll), paired(nll, total));
}

Deno.test("successive halving: a comparison is paired, on what both are known on", () => {
  assert.deepEqual(compare([1, undefined, 3, 5], [0, 2, 1, undefined]), {
    behind: 1.5,
    variance: 0.5,
    count: 2,
  });
  assert.equal(compare([1, undefined], [0, 2]).variance, Infinity);
  assert.ok(Number.isNaN(compare([1], [undefined, 2]).behind));
});

Deno.test("successive halving: the leader is ahead of the others on what they share, the first of equal ones", () => {
  assert.equal(leaderOf([0, 1, 2], table([[5, 5], [4, 5], [4, 5]])), 1);
  // The third has the lower mean, and is behind where both are known.
  assert.equal(leaderOf([0, 1], table([[3, 9], [4, undefined]])), 0);
});

Deno.test("successive halving: who is behind on every sequence is dropped, who is not behind significantly is not", () => {
  const nll = table([
    [3.00, 4.00, 5.00, 6.00],
    [3.50, 4.51, 5.49, 6.50],
    [2.60, 4.50, 4.70, 6.30],
  ]);
  assert.deepEqual(surviving([0, 1, 2], nll, 20), [0, 2]);
  // When all sequences are known nothing is left to estimate.
  assert.deepEqual(surviving([0, 1, 2], nll, 4), [0]);
});

Deno.test("successive halving: equals are not worth more sequences, and one sequence drops nobody but by the halving", () => {
  assert.deepEqual(surviving([0, 1], table([[3, 4, 5], [3, 4, 5]]), 20), [0]);
  const one = Array.from({ length: 12 }, (_, i) => [3 + i]);
  assert.deepEqual(surviving(one.map((_, i) => i), table(one), 20), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(surviving([5, 3, 1], table(one), 20), [1, 3, 5], "the halving spares a few");
});
