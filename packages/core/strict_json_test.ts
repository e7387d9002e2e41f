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
  refused("[".repeat(65) + "]".repeat(65), /^it is nested deeper than 64$/);
  refused("[".repeat(1_000_000) + "]".repeat(1_000_000), /./);
  refused('{\n"a": tru\n}', /./);
  refused("", /./);
  assert.deepEqual(parseStrictJson('[{"a": "a"}, {"a": ["a", "a"]}, "\\"}{"]'), [
    { a: "a" },
    { a: ["a", "a"] },
    '"}{',
  ]);
});
