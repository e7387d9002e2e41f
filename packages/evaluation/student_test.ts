import assert from "node:assert/strict";
import { studentQuantile95 } from "./student.ts";

Deno.test("student: the quantiles of a printed table", () => {
  // Two-sided 95 %, NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
  const table = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    6: 2.447,
    30: 2.042,
    100: 1.984,
  };
  for (const [freedom, expected] of Object.entries(table)) {
    assert.equal(Number(studentQuantile95(Number(freedom)).toFixed(3)), expected, freedom);
  }
});

Deno.test("student: of many values it is the normal quantile", () => {
  assert.ok(Math.abs(studentQuantile95(1e5) - 1.959964) < 1e-4);
});

Deno.test("student: without a degree of freedom there is none", () => {
  for (const freedom of [0, -1, 1.5, NaN]) {
    assert.throws(() => studentQuantile95(freedom), RangeError);
  }
});
