import assert from "node:assert/strict";
import { MemoryFolder } from "@lopper/formats";
import { readTokenizerFiles } from "./files.ts";

type Json = Readonly<Record<string, unknown>>;

/** Added tokens of a folder whose vocabulary is a = 0, b = 1. */
async function added(files: Readonly<Record<string, Json>>, own: unknown = []) {
  const tokenizer = { model: { type: "BPE", vocab: { a: 0, b: 1 } }, added_tokens: own };
  const texts = Object.entries({ "tokenizer.json": tokenizer, ...files })
    .map(([name, json]) => [name, JSON.stringify(json)]);
  const { added, json } = await readTokenizerFiles(
    new MemoryFolder("m", Object.fromEntries(texts)),
  );
  assert.deepEqual(json.added_tokens, added.map(({ file: _, ...token }) => token));
  return added;
}

const brief = async (...args: Parameters<typeof added>) =>
  (await added(...args)).map(({ id, content }) => `${id} ${content}`).join(", ");

const NAMES = "special_tokens_map.json", CONFIG = "tokenizer_config.json";

// What transformers 5.24 gives for the same files.
Deno.test("added tokens: they have the ids that transformers gives, from every file that lists or names them", async () => {
  const x = { content: "<x>" }, y = { content: "<y>" };
  const config = (json: Json) => ({ [CONFIG]: json });
  const cases: [Record<string, Json>, string][] = [
    [{}, ""],
    [config({ added_tokens_decoder: { 2: x, 3: y } }), "2 <x>, 3 <y>"],
    [config({ added_tokens_decoder: { 3: x, 2: y } }), "2 <y>, 3 <x>"],
    [config({ added_tokens_decoder: { 1: { content: "b" } } }), "1 b"],
    [config({ additional_special_tokens: ["<x>", "<y>"] }), "2 <x>, 3 <y>"],
    [config({ extra_special_tokens: ["<x>", "<y>"] }), "2 <x>, 3 <y>"],
    [config({ extra_special_tokens: { x_token: "<x>", y: "<y>" } }), "2 <x>, 3 <y>"],
    [config({ extra_special_tokens: ["<x>"], additional_special_tokens: ["<y>"] }), "2 <x>"],
    [config({ image_token: "<x>", add_bos_token: true, pad_token: "<y>" }), "2 <y>, 3 <x>"],
    [config({ eos_token: "b", pad_token: { content: "<x>" } }), "1 b, 2 <x>"],
    [config({ pad_token: "<y>", added_tokens_decoder: { 2: x } }), "2 <x>, 3 <y>"],
    [{ "added_tokens.json": { "<y>": 3, "<x>": 2 } }, "2 <x>, 3 <y>"],
    [{ "added_tokens.json": { "<y>": 2 }, ...config({ added_tokens_decoder: {} }) }, ""],
    [{ [NAMES]: { pad_token: "<x>", additional_special_tokens: ["<y>"] } }, "2 <x>, 3 <y>"],
    [{ [NAMES]: { pad_token: "<x>" }, ...config({ added_tokens_decoder: { 2: y } }) }, "2 <y>"],
    [{ [NAMES]: { pad_token: "<x>" }, "added_tokens.json": { "<y>": 2 } }, "2 <y>, 3 <x>"],
  ];
  for (const [files, wanted] of cases) {
    assert.equal(await brief(files), wanted, JSON.stringify(files));
  }
  const own = [{ id: 2, content: "<x>" }];
  assert.equal(await brief(config({ added_tokens_decoder: { 3: y } }), own), "2 <x>, 3 <y>");
});

Deno.test("added tokens: flags are those of the file that says most, and the usual ones where none does", async () => {
  const own = [{ id: 2, content: "<x>", special: true, normalized: false }];
  const flags = async (files: Readonly<Record<string, Json>>, own?: unknown) => {
    const { id: _, content: __, file: ___, ...set } = (await added(files, own))[0];
    return Object.entries(set).filter(([, on]) => on).map(([flag]) => flag).join(" ");
  };
  assert.equal(await flags({}, own), "special");
  const decoder = { 2: { content: "<x>", lstrip: true, rstrip: true, single_word: true } };
  const said = await flags({ [CONFIG]: { added_tokens_decoder: decoder } }, own);
  assert.equal(said, "single_word lstrip rstrip normalized");
  assert.equal(
    await flags({ [CONFIG]: { pad_token: { content: "<x>", lstrip: true } } }),
    "lstrip special",
  );
  assert.equal(await flags({ "added_tokens.json": { "<x>": 2 } }), "normalized");
  const named = { [NAMES]: { pad_token: "<x>" }, "added_tokens.json": { "<x>": 2 } };
  assert.equal(await flags(named), "special");
});

Deno.test("added tokens: names of special_tokens_map.json count where tokenizer_config.json lists no tokens", async () => {
  const config = async (json: Json) => {
    const files = {
      "tokenizer.json": JSON.stringify({ model: { vocab: { a: 0, b: 1 } } }),
      [CONFIG]: JSON.stringify(json),
      [NAMES]: JSON.stringify({ eos_token: "b" }),
    };
    return (await readTokenizerFiles(new MemoryFolder("m", files))).config.eos_token;
  };
  assert.equal(await config({ eos_token: "a" }), "b");
  assert.equal(await config({ eos_token: "a", added_tokens_decoder: {} }), "a");
});
