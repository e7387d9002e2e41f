import assert from "node:assert/strict";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { drawNumbers, furtherNumbers, shuffled } from "./draw.ts";

/** Fisher and Yates as it is written, over all numbers. */
function fisherYates(n: number, count: number, seed: number): number[] {
  const random = xoroshiro128plus(seed);
  const numbers = Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = uniformInt(random, i, n - 1);
    [numbers[i], numbers[j]] = [numbers[j], numbers[i]];
  }
  return numbers.slice(0, count);
}

Deno.test("draw: numbers are those of Fisher and Yates, in the memory of those that are drawn", () => {
  for (let n = 1; n <= 60; n++) {
    assert.deepEqual(shuffled(n, n), fisherYates(n, n, n));
    for (let count = 1; count < n; count++) {
      const wanted = fisherYates(n, count, 7).sort((a, b) => a - b);
      assert.deepEqual(drawNumbers(n, count, 7), wanted);
    }
  }
  const few = drawNumbers(2 ** 31, 5, 3);
  assert.equal(new Set(few).size, 5);
  assert.deepEqual(few, few.toSorted((a, b) => a - b));
});

Deno.test("draw: repeats for a seed, and takes all when there are no more", () => {
  assert.deepEqual(drawNumbers(50, 10, 1), drawNumbers(50, 10, 1));
  assert.notDeepEqual(drawNumbers(50, 10, 2), drawNumbers(50, 10, 1));
  const every = Array.from({ length: 50 }, (_, i) => i);
  assert.deepEqual(drawNumbers(50, 50, 1), every);
  assert.deepEqual(drawNumbers(50, 99, 1), every);
});

Deno.test("draw: what is kept aside was not drawn", () => {
  const validation = furtherNumbers(50, 30, 15, 1);
  assert.equal(new Set([...drawNumbers(50, 30, 1), ...validation]).size, 45);
  assert.deepEqual(furtherNumbers(50, 50, 5, 1), []);
  assert.equal(furtherNumbers(50, 48, 5, 1).length, 2);
});
