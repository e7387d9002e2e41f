import assert from "node:assert/strict";
import fc from "fast-check";
import { parseStrictJson } from "./strict_json.ts";

const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 11);

Deno.test("strict JSON: whatever JSON.stringify writes is read as it was", () => {
  // __proto__ is a key that an object of fast-check may have, and strict JSON never.
  const value = fc.jsonValue({ maxDepth: 5 })
    .filter((value) => !JSON.stringify(value).includes("__proto__"));
  fc.assert(
    fc.property(value, fc.constantFrom(0, 2), (value, space) => {
      const text = JSON.stringify(value, null, space);
      assert.deepEqual(parseStrictJson(text), JSON.parse(text));
    }),
    { numRuns: 300, seed: SEED },
  );
});

Deno.test("strict JSON: what would be dropped or change meaning in silence is refused in a few words", () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(() => parseStrictJson(text), (error) => {
      assert.ok(error instanceof SyntaxError, String(error));
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n") && error.message.length < 200, error.message);
      return true;
    });
  refused('{"a": 1, "b": [{"c": 1, "c" : 2}]}', /^it has the key "c" twice$/);
  refused('{"a": 1, "\\u0061": 2}', /^it has the key "a" twice$/);
  refused('{"a": {"__proto__": {"kept": true}}}', /^it has a key __proto__$/);
  refused('{"\\u005f_proto__": 1}', /^it has a key __proto__$/);
  refused('{"a": [1, -1e999]}', /^it has the number -1e999, which is too large$/);
  refused("1".repeat(400), /^it has the number 1{20}, which is too large$/);
  refused("[".repeat(65) + "]".repeat(65), /^it is nested more than 64 deep$/);
  refused("[".repeat(1_000_000) + "]".repeat(1_000_000), /./);
  refused('{\n"a": tru\n}', /^not JSON \(/);
  refused("", /^not JSON \(/);
  assert.deepEqual(parseStrictJson('{"a": 1, "a": 2}', { lastCounts: true }), { a: 2 });
  assert.deepEqual(parseStrictJson('[-1.5e+3, 1E308, "1e999", 0]'), [-1500, 1e308, "1e999", 0]);
  assert.deepEqual(parseStrictJson('[{"a": "a"}, {"a": ["a", "a"]}, "\\"}{"]'), [
    { a: "a" },
    { a: ["a", "a"] },
    '"}{',
  ]);
});
