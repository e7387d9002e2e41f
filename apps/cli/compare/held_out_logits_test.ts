import assert from "node:assert/strict";
import { passagesOf } from "./held_out_logits.ts";

Deno.test("compare: passages lie at equal distances, and each begins as a text does", () => {
  const ids = Array.from({ length: 40 }, (_, i) => 100 + i);
  assert.deepEqual(passagesOf(ids, 4), [0, 10, 20, 30].map((at) => ids.slice(at, at + 4)));
  assert.deepEqual(
    passagesOf(ids, 4, [2]),
    [0, 10, 20, 30].map((at) => [2, ...ids.slice(at, at + 3)]),
  );
  assert.deepEqual(passagesOf(ids.slice(0, 3), 256, [2]), [[2, 100, 101, 102]]);
});
