import assert from "node:assert/strict";
import fc from "fast-check";
import { type Cut, cutsOf, keyOf } from "./candidate_key.ts";

const part = fc.constantFrom("0.mlp", "31.attention");
const dimension = fc.constantFrom("channels", "kvGroups");
const cut = fc.oneof(
  part.map((part): Cut => ({ part, dimension: null, left: 0 })),
  fc.tuple(part, dimension, fc.nat(20_000))
    .map(([part, dimension, left]): Cut => ({ part, dimension, left })),
);

Deno.test("key: what it says of each block comes back", () => {
  fc.assert(fc.property(fc.array(cut, { minLength: 1, maxLength: 4 }), (cuts) => {
    assert.deepEqual(cutsOf(keyOf(cuts)), cuts);
  }));
});

Deno.test("key: a text that names no candidate is none", () => {
  for (const text of ["", "3.mlp channels", "3.mlp channels→", "3.mlp→4", "3.mlp,4.mlp", "a b c"]) {
    assert.throws(() => cutsOf(text), SyntaxError, text);
  }
});
