import assert from "node:assert/strict";
import { commonDivisor, commonMultiple } from "./divisors.ts";

Deno.test("divisors: the greatest that divides both, and the least that all divide", () => {
  for (let a = 1; a <= 12; a++) {
    for (let b = 1; b <= 12; b++) {
      const divisors = Array.from({ length: 12 }, (_, i) => 12 - i);
      assert.equal(commonDivisor(a, b), divisors.find((d) => a % d === 0 && b % d === 0));
      let multiple = a;
      while (multiple % b !== 0) multiple += a;
      assert.equal(commonMultiple([a, b]), multiple);
    }
  }
  assert.deepEqual([commonDivisor(7, 0), commonMultiple([]), commonMultiple([2, 3, 4])], [
    7,
    1,
    12,
  ]);
});
