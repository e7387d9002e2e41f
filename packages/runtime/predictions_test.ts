import assert from "node:assert/strict";
import fc from "fast-check";
import { largest, NamedTokens } from "./predictions.ts";

Deno.test("predictions: the largest values are those of a sorted list, of equal ones the first", () => {
  const numbers = fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 1, maxLength: 40 });
  fc.assert(fc.property(numbers, fc.nat(), (list, n) => {
    const count = 1 + n % list.length;
    const sorted = list.map((value, at) => ({ value, at }))
      .toSorted((a, b) => b.value - a.value || a.at - b.at);
    const found = [...largest(Float32Array.from(list), count)];
    assert.deepEqual(found, sorted.slice(0, count).map(({ at }) => at));
  }));
});

Deno.test("predictions: the likeliest tokens of each position are named with their probabilities", () => {
  const named = new NamedTokens(3, 4, 2);
  const row = (...shares: number[]) => shares.map(Math.log);
  named.put(1, Float32Array.from([...row(0.1, 0.2, 0.6, 0.1), ...row(0.5, 0.125, 0.125, 0.25)]));
  assert.deepEqual([...named.tokens], [0n, 0n, 2n, 1n, 0n, 3n]);
  const rounded = Array.from(named.probabilities, (p) => Number(p.toFixed(6)));
  assert.deepEqual(rounded, [0, 0, 0.6, 0.2, 0.5, 0.25]);
  assert.equal(new NamedTokens(1, 4, 128).perToken, 4, "no more than there are");
});
