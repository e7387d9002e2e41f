import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { tokenizerEntries } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const FIXTURES = fileURLToPath(new URL("fixtures/tokenizers", import.meta.url));

type Json = Readonly<Record<string, unknown>>;

/** Whether a tokenizer, changed, has an equal in llama.cpp; else what of it has none. */
async function refusal(name: string, top: Json, model: Json): Promise<string | null> {
  const bytes = await new FileFolder(`${FIXTURES}/${name}`).readBytes("tokenizer.json", 1e7);
  const json = JSON.parse(new TextDecoder().decode(bytes));
  const folder = new MemoryFolder("changed", {
    "tokenizer.json": JSON.stringify({ ...json, ...top, model: { ...json.model, ...model } }),
  });
  const source = { folder, rows: json.model.vocab.length + 1, endTokens: [] };
  try {
    await tokenizerEntries(source, (what) => {
      throw new Error(what);
    });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

Deno.test("GGUF export: what of a Unigram llama.cpp does not have is refused", async () => {
  const metaspace = { type: "Metaspace", replacement: "▁", split: true };
  const longer = JSON.parse(await Deno.readTextFile(`${FIXTURES}/unigram-words/tokenizer.json`));
  const joined = [...longer.model.vocab, ["▁a▁b", -5]];
  const cases: readonly (readonly [string, Json, Json, RegExp | null])[] = [
    ["unigram-words", {}, {}, null],
    ["unigram-words", {}, { byte_fallback: true }, /writes unknown characters as bytes/],
    // Words are split at line ends, which nothing makes spaces.
    ["unigram-words", { normalizer: null }, {}, /marks spaces in a way of its own/],
    ["unigram-words", {}, { vocab: joined }, /marks spaces in a way of its own/],
    ["unigram-spaces", { normalizer: { type: "Lowercase" } }, {}, /marks spaces/],
    ["unigram-spaces", { pre_tokenizer: { ...metaspace, prepend_scheme: "first" } }, {}, /marks/],
    ["unigram-spaces", { pre_tokenizer: { ...metaspace, prepend_scheme: "always" } }, {}, null],
  ];
  for (const [name, top, model, message] of cases) {
    const found = await refusal(name, top, model);
    if (message) assert.match(found ?? "not refused", message);
    else assert.equal(found, null);
  }
});
