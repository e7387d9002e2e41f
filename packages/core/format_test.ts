import assert from "node:assert/strict";
import { formatChange, formatPerplexity } from "./format.ts";

Deno.test("format: what is no number is said in words", () => {
  assert.deepEqual([12.345, 123_456, NaN, Infinity].map(formatPerplexity), [
    "12.35",
    "1.23e+5",
    "not finite",
    "not finite",
  ]);
  assert.deepEqual([formatChange(40, 46), formatChange(50, 40)], ["+15.0 %", "−20.0 %"]);
  assert.deepEqual([formatChange(40, NaN), formatChange(NaN, 40)], ["not finite", "not finite"]);
});
