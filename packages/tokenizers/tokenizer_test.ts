import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { openTokenizer } from "./tokenizer.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/tokenizers", import.meta.url));

interface Expected {
  readonly text: string;
  readonly ids: readonly number[];
  readonly ids_plain: readonly number[];
  readonly decoded: string;
}

/**
 * @huggingface/tokenizers 0.2.0 decodes byte tokens with a TextDecoder that swallows a byte order
 *   mark (U+FEFF). Ids are not touched. When the library keeps the mark, this list must shrink.
 */
const LOSES_BYTE_ORDER_MARKS = new Set([
  ...["bpe-byte-fallback", "bpe-metaspace", "bpe-mistral", "bpe-gemma"],
]);

async function cases(name: string): Promise<readonly Expected[]> {
  const json = JSON.parse(await Deno.readTextFile(`${FIXTURES}/${name}/expected.json`));
  return Array.isArray(json) ? json : json.cases;
}

for (const { name } of Deno.readDirSync(FIXTURES)) {
  Deno.test(`tokenizer ${name} gives the ids and texts of transformers`, async () => {
    using tokenizer = await openTokenizer(new FileFolder(`${FIXTURES}/${name}`));
    const all = await cases(name);
    assert.ok(all.length >= 25);
    const different: unknown[] = [];
    for (const { text, ids, ids_plain, decoded } of all) {
      const got = {
        text,
        ids: await tokenizer.encode(text),
        ids_plain: await tokenizer.encode(text, { addSpecialTokens: false }),
        decoded: await tokenizer.decode(ids),
      };
      const want = { text, ids, ids_plain, decoded };
      if (LOSES_BYTE_ORDER_MARKS.has(name) && decoded.includes("\uFEFF")) {
        assert.notEqual(got.decoded, decoded, "the library was mended: drop the exception");
        want.decoded = decoded.replaceAll("\uFEFF", "");
      }
      if (JSON.stringify(got) !== JSON.stringify(want)) different.push({ got, want });
    }
    assert.deepEqual(different.map((d) => JSON.stringify(d)), []);
  });
}

Deno.test("tokenizer: special tokens that only tokenizer_config.json names split the text first", async () => {
  const vocab = { a: 0, ".": 1, "..": 2 };
  using tokenizer = await openTokenizer(
    new MemoryFolder("m", {
      "tokenizer.json": JSON.stringify({
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: null,
        post_processor: null,
        decoder: null,
        model: { type: "BPE", vocab, merges: [". ."], unk_token: null },
      }),
      "tokenizer_config.json": JSON.stringify({ eos_token: { content: "." } }),
    }),
  );
  assert.equal(tokenizer.eosTokenId, 1);
  assert.deepEqual(await tokenizer.encode("a.."), [0, 1, 1]);
});

Deno.test("tokenizer: a file that is none is named", async () => {
  const folder = new MemoryFolder("m", { "tokenizer.json": '{"version": "1.0"}' });
  await assert.rejects(openTokenizer(folder), /m\/tokenizer\.json: model/);
  const empty = new MemoryFolder("m", {});
  await assert.rejects(openTokenizer(empty), /no file tokenizer\.json/);
});
