import assert from "node:assert/strict";
import { MemoryFolder } from "@lopper/formats";
import { TokenizerEngine } from "./engine.ts";
import { readTokenizerFiles } from "./files.ts";

type Json = Readonly<Record<string, unknown>>;

/** Every character is a token; those that merge are joined. */
async function engine(parts: Json, { merges = [] as [string, string][], text = "" } = {}) {
  const characters = [...new Set(`▁ abcdehnt12.-${text}`)];
  const tokens = [...characters, ...merges.map(([a, b]) => a + b)];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const model = { type: "BPE", vocab, merges };
  const folder = new MemoryFolder("m", { "tokenizer.json": JSON.stringify({ model, ...parts }) });
  const made = new TokenizerEngine(await readTokenizerFiles(folder), () => {});
  const encode = (text: string, special: boolean) => made.encode(text, special);
  const decode = (ids: readonly number[]) => made.decode(ids);
  return { encode, decode, read: (text: string) => encode(text, true).map((id) => tokens[id]) };
}

/** The pieces of a text: every stretch of it is a word. */
async function piecesOf(pre_tokenizer: Json, text: string): Promise<string> {
  const words = new Set<string>();
  for (const whole of [text, `▁${text.replaceAll(" ", "▁")}`]) {
    for (let from = 0; from < whole.length; from++) {
      for (let to = from + 1; to <= whole.length; to++) words.add(whole.slice(from, to));
    }
  }
  const list = [...words];
  const vocab = Object.fromEntries(list.map((word, id) => [word, id]));
  const { encode } = await engine({ pre_tokenizer, model: { type: "WordLevel", vocab } });
  return encode(text, true).map((id) => list[id]).join("|");
}

// What tokenizers 0.23 makes of them.
Deno.test("tokenizer: text is cut as the tokenizers library cuts it, letters and digits beyond ASCII as well", async () => {
  const cases: [Json, string, string][] = [
    [{ type: "Digits", individual_digits: true }, "a٣２½b1", "a|٣|２|½|b|1"],
    [{ type: "Digits", individual_digits: false }, "a٣２½b1", "a|٣２½|b|1"],
    [{ type: "Whitespace" }, "été, no", "été|,|no"],
    [{ type: "WhitespaceSplit" }, "a\u0085b\ufeffc", "a|b\ufeffc"],
    [{ type: "Punctuation" }, "a--b", "a|-|-|b"],
    [{ type: "Punctuation", behavior: "Contiguous" }, "a--b", "a|--|b"],
    [{ type: "Metaspace", replacement: "▁" }, "ab  cd", "▁ab|▁|▁cd"],
    [{ type: "Metaspace", replacement: "▁", split: false }, "ab cd", "▁ab▁cd"],
  ];
  for (const [part, text, wanted] of cases) {
    assert.equal(await piecesOf(part, text), wanted, JSON.stringify(part));
  }
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "first" };
  const digits = { type: "Digits", individual_digits: true };
  const both = { type: "Sequence", pretokenizers: [digits, metaspace] };
  assert.equal(await piecesOf(both, "1a2"), "▁1|a|2");
});

Deno.test("tokenizer: words are merged one by one where no merge reaches over two, and together where one does", async () => {
  const merged = async (text: string, ...merges: [string, string][]) =>
    (await engine({}, { merges })).read(text).join("|");
  assert.equal(await merged("ab▁▁ab", ["a", "b"], ["▁", "▁"]), "ab|▁▁|ab");
  assert.equal(await merged("ab▁ab", ["b", "▁"], ["a", "b"], ["▁", "a"]), "a|b▁|ab");
});

Deno.test("tokenizer: a step replaces by what it says, sign by sign, and strips what is white", async () => {
  const replace = (pattern: Json, content: string) => ({ type: "Replace", pattern, content });
  const dollar = await engine({ normalizer: replace({ String: "a" }, "$&$") }, { text: "$&" });
  assert.deepEqual(dollar.read("ab"), ["$", "&", "$", "b"]);
  const strip = await engine({
    normalizer: { type: "Strip", strip_left: true, strip_right: true },
  }, { text: "\ufeff" });
  assert.deepEqual(strip.read("\u0085 a\ufeff "), ["a", "\ufeff"]);
});

Deno.test("tokenizer: special tokens around a text have the ids that the post-processor gives them", async () => {
  const post_processor = {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "<x>", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "<x>", type_id: 0 } },
    ],
    pair: [],
    special_tokens: { "<x>": { id: "<x>", ids: [3, 4], tokens: ["b", "c"] } },
  };
  const made = await engine({ post_processor });
  const [a] = made.encode("a", false);
  assert.deepEqual(made.encode("a", true), [3, 4, a, 3, 4]);
  assert.deepEqual(made.encode("", true), [3, 4, 3, 4]);
});

Deno.test("tokenizer: what an added token reads as is no token of the model", async () => {
  const added_tokens = [{ id: 14, content: "q", single_word: true }];
  const made = await engine({ added_tokens });
  assert.deepEqual(made.encode("q aq", false), [14, 1, 2]);
});

Deno.test("tokenizer: parts that would make a text far longer, or find no end, are refused by name", async () => {
  const refused: [Json, RegExp][] = [
    [{ normalizer: { type: "Prepend", prepend: "x".repeat(65) } }, /normalizer\.prepend has 65/],
    [
      { decoder: { type: "Replace", pattern: { String: "a" }, content: "x".repeat(65) } },
      /decoder\.content has 65/,
    ],
    [{ pre_tokenizer: { type: "FixedLength", length: 0 } }, /pre_tokenizer\.length is 0/],
    [{ pre_tokenizer: { type: "FixedLength" } }, /pre_tokenizer\.length is undefined/],
    [
      { normalizer: { type: "Sequence", normalizers: Array(600).fill({ type: "NFC" }) } },
      /normalizer has more parts/,
    ],
    [
      { normalizer: { type: "Replace", pattern: { Regex: "a".repeat(70_000) }, content: "" } },
      /pattern\.Regex has 70000/,
    ],
    [
      { pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" } },
      /Invalid/,
    ],
    [{ pre_tokenizer: { type: "Nothing" } }, /Nothing/],
    [
      { added_tokens: [{ id: 14, content: "  .", normalized: true }], normalizer: stripping() },
      /" {2}\." its normalizer leaves nothing/,
    ],
  ];
  for (const [parts, message] of refused) await assert.rejects(engine(parts), message);
  const chain = Array.from({ length: 600 }, (_, i) => ["e".repeat(i + 1), -i]);
  const model = { type: "Unigram", unk_id: 0, vocab: chain };
  await assert.rejects(engine({ model }), /more than 512 tokens .* begin with each other/);
});

function stripping() {
  const pattern = { Regex: "[ .]+" };
  return { type: "Replace", pattern, content: "" };
}

Deno.test("tokenizer: a text that grows step by step is refused before it fills the memory", async () => {
  const twice = { type: "Replace", pattern: { String: "a" }, content: "aa" };
  const normalizer = { type: "Sequence", normalizers: Array(60).fill(twice) };
  const { read } = await engine({ normalizer });
  assert.throws(() => read("a"), /its normalizer makes \d+ characters of 1$/);
  const decoder = {
    type: "Sequence",
    decoders: Array(60).fill({ ...twice, pattern: { String: "b" }, content: "bb" }),
  };
  const made = await engine({ decoder });
  assert.throws(() => made.decode(made.encode("b", false)), /its decoder makes \d+ characters/);
});

Deno.test("tokenizer: a token that is in no vocabulary, and none for what is unknown, is an error", async () => {
  const model = { type: "WordLevel", vocab: { a: 0 } };
  const made = await engine({ model, pre_tokenizer: { type: "Whitespace" } });
  assert.deepEqual(made.encode("a a", true), [0, 0]);
  assert.throws(() => made.encode("a b", true), /it has no token for "b"/);
});
