import assert from "node:assert/strict";
import { pairedDifference, perplexityRatio } from "./paired.ts";

const close = (found: number | null, expected: number) =>
  assert.ok(Math.abs(found! - expected) < 1e-12, `${found}, expected ${expected}`);

Deno.test("paired: the mean of the differences with its interval", () => {
  // differences −1, 0, 0, −1, 0: mean −0.4, sample variance 0.3; Student's t of 4 degrees of
  // freedom
  const margin = 2.7764451051977987 * Math.sqrt(0.3 / 5);
  const { value, low, high } = pairedDifference([1, 1, 0, 1, 0], [0, 1, 0, 0, 0]);
  close(value, -0.4);
  close(low, -0.4 - margin);
  close(high, -0.4 + margin);
});

Deno.test("paired: a shift of every question is certain, however the questions vary", () => {
  const { value, low, high } = pairedDifference([0, 4, 16], [1, 5, 17]);
  assert.deepEqual([value, low, high], [1, 1, 1]);
});

Deno.test("paired: a single question has no interval, and others no difference", () => {
  assert.deepEqual(pairedDifference([1], [0]), { value: -1, low: null, high: null });
  assert.throws(() => pairedDifference([1, 0], [1]), RangeError);
  assert.throws(() => pairedDifference([], []), RangeError);
});

Deno.test("paired: perplexities by their ratio", () => {
  const { value, low, high } = perplexityRatio([1, 2, 4], [1 + Math.log(2), 2, 4 + Math.log(2)]);
  close(value, 2 ** (2 / 3));
  assert.ok(low! < value && high! > value);
  // even as ratios the bounds are at equal distance
  close(low! * high!, value ** 2);
});
