import { FileFolder } from "@lopper/files";
import {
  MemoryFolder,
  MemorySink,
  MemorySource,
  type MetadataEntry,
  type ModelFolder,
  readGgufHeader,
  writeGguf,
} from "@lopper/formats";
import { GgufFolder } from "@lopper/models";
import { openTokenizer, tokenizerEntries } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { PRE_TOKENIZERS } from "../packages/tokenizers/gguf/pre_tokenizers.ts";

const FIXTURES = fileURLToPath(new URL("fixtures/tokenizers", import.meta.url));

class Refused extends Error {}

/** What a GGUF file says of a tokenizer. @throws {Refused} when llama.cpp has none that does so. */
async function entriesOf(folder: ModelFolder) {
  const json = JSON.parse(
    new TextDecoder().decode(await folder.readBytes("tokenizer.json", 1e7)),
  );
  const added = json.added_tokens.map(({ id }: { id: number }) => id);
  const { vocab } = json.model;
  const own = Array.isArray(vocab) ? vocab.map((_, id) => id) : Object.values<number>(vocab);
  const rows = Math.max(...own, ...added) + 1;
  return await tokenizerEntries({ folder, rows, endTokens: [] }, (what) => {
    throw new Refused(what);
  });
}

async function asGguf(entries: readonly MetadataEntry[]) {
  const sink = new MemorySink();
  await writeGguf(sink, entries, []);
  await sink.commit();
  const { metadata } = await readGgufHeader(new MemorySource("written.gguf", sink.bytes));
  return await openTokenizer(new GgufFolder(metadata, {}));
}

const valueOf = (entries: readonly MetadataEntry[], name: string) => {
  const entry = entries.find(({ key }) => key === `tokenizer.ggml.${name}`);
  return entry && "value" in entry ? entry.value : undefined;
};

/** Texts that the notes of an export except. */
const isComposed = (text: string) => text.normalize("NFC") === text;
const hasNoMarks = (text: string) => !/\p{M}/u.test(text);
const beginsPlainly = (text: string) => !/^[ ▁]|<s>|<unk>/.test(text);
const ALL = () => true;

const WRITTEN: Readonly<
  Record<string, { pre: string; notes?: RegExp; same: (text: string) => boolean; of: number }>
> = {
  "byte-bpe-bos": { pre: "llama3", same: ALL, of: 29 },
  "byte-bpe-plain": { pre: "qwen2", notes: /\(NFC\)/, same: isComposed, of: 28 },
  "byte-bpe-digits": { pre: "smollm", same: ALL, of: 29 },
  "byte-bpe-falcon": { pre: "falcon", same: ALL, of: 29 },
  "byte-bpe-deepseek": { pre: "deepseek-v3", same: ALL, of: 29 },
  "byte-bpe-o200k": { pre: "gpt-4o", notes: /capitals beyond A to Z/, same: hasNoMarks, of: 28 },
  "bpe-mistral": { pre: "default", notes: /begins with a space/, same: beginsPlainly, of: 21 },
  "bpe-gemma": { pre: "default", same: ALL, of: 29 },
  "unigram-words": {
    pre: "default",
    notes: /splits no words at U\+000b, U\+000c, U\+0085 and/,
    same: ALL,
    of: 29,
  },
  "unigram-spaces": { pre: "default", notes: /as the two of a line end/, same: ALL, of: 29 },
};

for (const [name, { pre, notes: noted, same, of }] of Object.entries(WRITTEN)) {
  Deno.test(`GGUF export: the ids of ${name} are the same, but for what a note says`, async () => {
    const folder = new FileFolder(`${FIXTURES}/${name}`);
    const { entries, notes } = await entriesOf(folder);
    assert.equal(valueOf(entries, "pre"), pre);
    const models = { byte: "gpt2", bpe: "llama", unigram: "t5" };
    assert.equal(valueOf(entries, "model"), models[name.split("-")[0] as keyof typeof models]);
    if (noted) assert.match(notes.join("\n"), noted);
    else assert.deepEqual(notes.filter((note) => !/is an ordinary token/.test(note)), []);
    const { cases } = JSON.parse(await Deno.readTextFile(`${FIXTURES}/${name}/expected.json`));
    using tokenizer = await asGguf(entries);
    let compared = 0;
    for (const { text, ids, ids_plain } of cases) {
      if (!same(text)) continue;
      compared += 1;
      assert.deepEqual(await tokenizer.encode(text), ids, JSON.stringify(text));
      const plain = await tokenizer.encode(text, { addSpecialTokens: false });
      assert.deepEqual(plain, ids_plain, JSON.stringify(text));
    }
    assert.equal(compared, of);
  });
}

type Json = Readonly<Record<string, unknown>>;

/** A byte-level tokenizer of single bytes and a few words, changed. */
async function changed(
  change: { readonly top?: Json; readonly model?: Json; readonly bos?: boolean },
) {
  const { top = {}, model = {}, bos = true } = change;
  const bytes = await new FileFolder(`${FIXTURES}/byte-bpe-digits`).readBytes(
    "tokenizer.json",
    1e7,
  );
  const json = JSON.parse(new TextDecoder().decode(bytes));
  return await entriesOf(
    new MemoryFolder("changed", {
      "tokenizer.json": JSON.stringify({ ...json, ...top, model: { ...json.model, ...model } }),
      "tokenizer_config.json": JSON.stringify(bos ? { bos_token: "<|endoftext|>" } : {}),
    }),
  );
}

const BYTES = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
const split = (...regexes: readonly string[]) => ({
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      ...regexes.map((Regex) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated" })),
      BYTES,
    ],
  },
});
const WORDS = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const SPACES = "\\s+(?!\\S)|\\s+";
const SIGNS = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*";

Deno.test("GGUF export: a way of splitting has the name that llama.cpp has for it, however it is written", async () => {
  const cased = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  const cl100k = `'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}|` +
    ` ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|${SPACES}`;
  const seed = `${cased}|${WORDS}|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|${SPACES}`;
  const marks = `${cased}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|` +
    ` ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|${SPACES}`;
  const three = `${cased}|${WORDS}|\\p{N}{1,3}|${SIGNS}|\\s*[\\r\\n]+|${SPACES}`;
  const cases: readonly (readonly [string, Parameters<typeof changed>[0]])[] = [
    ["gpt-2", { top: { pre_tokenizer: { ...BYTES, use_regex: true } } }],
    ["dbrx", { top: split(three) }],
    ["dbrx", { top: split(cl100k) }],
    ["chatglm-bpe", { top: split(three), bos: false }],
    ["llama3", { top: split(three), model: { ignore_merges: true } }],
    ["glm4", { top: split(three), model: { ignore_merges: true }, bos: false }],
    ["seed-coder", { top: split(seed) }],
    ["qwen35", { top: split(marks) }],
    ["bloom", { top: split(" ?[^(\\s|.,!?…。，、।۔،)]+") }],
    // Its tokens have one numeral each, so that it is all the same how many stand in a word.
    ["deepseek-llm", {
      top: split(...PRE_TOKENIZERS["deepseek-llm"].patterns.slice(0, -1), "\\p{N}"),
    }],
    ["deepseek-coder", {
      top: split("[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"),
    }],
  ];
  for (const [name, change] of cases) {
    const { entries } = await changed(change);
    assert.equal(valueOf(entries, "pre"), name);
  }
});

Deno.test("GGUF export: a BPE whose merges no scores of tokens give is refused", async () => {
  const folder = new FileFolder(`${FIXTURES}/bpe-byte-fallback`);
  await assert.rejects(entriesOf(folder), /^Error: "▁th" and "e" are not merged$/);
});

Deno.test("GGUF export: what of a tokenizer llama.cpp does not have is refused in a sentence that shows it", async () => {
  const bytes = await new FileFolder(`${FIXTURES}/byte-bpe-digits`).readBytes(
    "tokenizer.json",
    1e7,
  );
  // Nothing makes the last token.
  const merges = JSON.parse(new TextDecoder().decode(bytes)).model.merges.slice(0, -1);
  const words = { ...BYTES, use_regex: true };
  const digits = { type: "Digits", individual_digits: false };
  const punctuation = { type: "Punctuation", behavior: "Contiguous" };
  const threes = { type: "Split", pattern: { Regex: "[0-9][0-9][0-9]" }, behavior: "Isolated" };
  const falcon = { type: "Sequence", pretokenizers: [punctuation, words, digits, threes] };
  const bert = { type: "BertPreTokenizer" };
  // It finds no signs, which are gone then.
  const bloom = { Regex: " ?[^(\\s|.,!?…。，、।۔،)]+" };
  const removed = { type: "Split", pattern: bloom, behavior: "Removed", invert: true };
  const cases: readonly (readonly [Parameters<typeof changed>[0], RegExp])[] = [
    [{ top: { pre_tokenizer: bert } }, /in a way of its own \(\{"type":"BertPreTokenizer"\}\)/],
    [{ top: { pre_tokenizer: { ...BYTES, add_prefix_space: true } } }, /in a way of its own/],
    [{ top: split("\\p{L}+") }, /in a way of its own/],
    [
      { top: { pre_tokenizer: { type: "Sequence", pretokenizers: [removed, BYTES] } } },
      /in a way of its own/,
    ],
    [
      { top: { normalizer: { type: "NFKC" } } },
      /changes text before it splits it \(\{"type":"NFKC"/,
    ],
    [
      { top: { pre_tokenizer: falcon }, model: { merges: [...merges, ["Ġ", "1"]] } },
      /splits bytes that look like numerals/,
    ],
    [{ model: { merges, ignore_merges: true } }, /looks whole words up before it merges/],
  ];
  for (const [change, message] of cases) {
    await assert.rejects(changed(change), (error) => {
      assert.ok(error instanceof Refused, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});
