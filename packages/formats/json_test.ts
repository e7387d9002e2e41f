import { CheckpointFormatError } from "@lopper/core";
import { parseJson, readJson } from "./json.ts";
import { MemoryFolder } from "./listed_folder.ts";
import assert from "node:assert/strict";
import { z } from "zod";

const SCHEMA = z.looseObject({ layers: z.array(z.object({ size: z.int() })) });

const refuses = (content: string | Uint8Array, message: RegExp, limitBytes?: number) =>
  assert.rejects(
    readJson(new MemoryFolder("m", { "f.json": content }), "f.json", SCHEMA, limitBytes),
    (error) => {
      assert.ok(error instanceof CheckpointFormatError, String(error));
      assert.equal(error.location.file, "m/f.json");
      assert.match(error.message, message);
      return true;
    },
  );

Deno.test("json: what has the form is returned, unknown keys included", async () => {
  const folder = new MemoryFolder("m", { "f.json": '{"layers": [{"size": 3}], "ü": [null]}' });
  assert.deepEqual(await readJson(folder, "f.json", SCHEMA), { layers: [{ size: 3 }], ü: [null] });
});

Deno.test("json: what is wrong is named with file and place", async () => {
  await refuses(new Uint8Array([0x7b, 0xff, 0x7d]), /^m\/f\.json: not UTF-8 text$/);
  await refuses('{"layers": [', /^m\/f\.json: not JSON \(/);
  await refuses("", /not JSON/);
  await refuses("[]", /^m\/f\.json: the whole: /);
  await refuses('{"layers": [{"size": 1}, {"size": 1.5}]}', /^m\/f\.json: layers\.1\.size: /);
  await refuses('{"layers": []}', /it has 14 bytes and at most 13 are expected/, 13);
});

Deno.test("json: what would be lost, or become something else when it is written again, is refused", async () => {
  await refuses('{"layers": [], "x": {"__proto__": 1}}', /^m\/f\.json: it has a key __proto__$/);
  await refuses('{"layers": [], "x": -1e999}', /^m\/f\.json: it has the number -1e999, which is/);
  await refuses(`{"layers": ${"[".repeat(70)}${"]".repeat(70)}}`, /nested more than 64 deep$/);
  // tokens may be called anything, and a key that is there twice counts as it does elsewhere
  const files = { "added_tokens.json": '{"__proto__": 3}', "f.json": '{"a": 1, "a": 2}' };
  const folder = new MemoryFolder("m", files);
  const tokens = await readJson(folder, "added_tokens.json", z.unknown());
  assert.deepEqual(Object.keys(tokens as object), ["__proto__"]);
  assert.deepEqual(await readJson(folder, "f.json", z.unknown()), { a: 2 });
});

Deno.test("json: nesting without end is refused as JSON, not as a crash", async () => {
  await refuses('{"layers":' + "[".repeat(300_000), /not JSON/);
  const deep = "[".repeat(300_000) + "]".repeat(300_000);
  try {
    parseJson(new TextEncoder().encode(deep), "f");
  } catch (error) {
    assert.ok(error instanceof CheckpointFormatError, String(error));
  }
});

Deno.test("json: a missing file is named, and the offset of the text is kept", async () => {
  await assert.rejects(
    readJson(new MemoryFolder("m", {}), "f.json", SCHEMA),
    /^CheckpointFormatError: m: there is no file f\.json/,
  );
  assert.throws(
    () => parseJson(new TextEncoder().encode("{"), "w", { offset: 8 }),
    (error) => error instanceof CheckpointFormatError && error.location.offset === 8,
  );
});
