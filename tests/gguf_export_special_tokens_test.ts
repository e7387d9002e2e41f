import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { tokenizerEntries } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("fixtures/tokenizers/byte-bpe-digits", import.meta.url));
const bytes = await new FileFolder(FOLDER).readBytes("tokenizer.json", 1e7);
const json = JSON.parse(new TextDecoder().decode(bytes));
const [token] = json.added_tokens;

/** What llama.cpp does otherwise with a tokenizer, changed. @throws what it does not have at all. */
async function notesOf(
  change: Readonly<Record<string, unknown>>,
  endTokens: readonly number[] = [],
) {
  const folder = new MemoryFolder("m", {
    "tokenizer.json": JSON.stringify({ ...json, ...change }),
  });
  const source = { folder, rows: token.id + 1, endTokens };
  const { notes } = await tokenizerEntries(source, (what) => {
    throw new Error(what);
  });
  return notes;
}

Deno.test("GGUF export: a note says that special tokens leave the spaces beside them; of others that is refused", async () => {
  assert.deepEqual(await notesOf({}), []);
  assert.deepEqual(await notesOf({ added_tokens: [{ ...token, rstrip: true }] }), [
    `llama.cpp keeps the spaces beside "<|endoftext|>", which the model's tokenizer drops`,
  ]);
  for (const change of [{ rstrip: true, special: false }, { single_word: true }]) {
    await assert.rejects(
      notesOf({ added_tokens: [{ ...token, ...change }] }),
      /^Error: its token "<\|endoftext\|>" takes the spaces around it or whole words$/,
    );
  }
});

Deno.test("GGUF export: a note names ordinary tokens that llama.cpp splits texts at, but no ends of texts", async () => {
  const tokens = Object.keys(json.model.vocab);
  const last = tokens.length - 1;
  const vocab = Object.fromEntries(tokens.map((text, id) => [id === last ? "</s>" : text, id]));
  const merges = json.model.merges.slice(0, -1);
  const change = { model: { ...json.model, vocab, merges } };
  assert.deepEqual(await notesOf(change), [
    `"</s>" is an ordinary token of the model; llama.cpp takes it for a special one, and splits texts at it`,
  ]);
  assert.deepEqual(await notesOf(change, [last]), []);
});
