import type { Tokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { lossIncrease } from "./loss_increase.ts";
import { kindOfText } from "./token_kind.ts";

const WORDS = ["a", " the", " Whale", "s", " 42", ".", "\n", ""];
/** Each token is a piece of text; the last one is special. */
const TOKENIZER: Tokenizer = {
  encode: () => Promise.resolve([0]),
  decode: (ids) => Promise.resolve(ids.map((id) => WORDS[id]).join("")),
  eosTokenId: 7,
  textStart: null,
  [Symbol.dispose]: () => {},
};

Deno.test("loss increase: passages and kinds of tokens have the means of what was predicted", async () => {
  const sequences = [[0, 1, 2, 3], [1, 4, 5, 7], [5, 6, 2, 1]];
  const set = { sequences, length: 4, ignoredLabel: 7, digest: "" };
  const dense = Float32Array.of(1, 2, 3, 99, 1, 2, 99, 99, 1, 1, 1, 99);
  const pruned = Float32Array.of(1, 2, 4.5, 0, 2, 2, 0, 0, 1, 1.5, 0.5, 0);
  const { passages, tokens } = await lossIncrease(set, dense, pruned, TOKENIZER);
  assert.deepEqual(passages.map(({ dense, pruned }) => [dense, pruned]), [
    [2, 2.5],
    [1.5, 2],
    [1, 1],
  ]);
  assert.equal(passages[0].worst, "the Whales");
  assert.equal(passages[1].worst, "42.");
  assert.deepEqual(tokens, [
    { kind: "words", count: 2, dense: 1, pruned: 0.75 },
    { kind: "capitalised words", count: 2, dense: 1.5, pruned: 1.75 },
    { kind: "parts of words", count: 1, dense: 3, pruned: 4.5 },
    { kind: "numbers", count: 1, dense: 1, pruned: 2 },
    { kind: "punctuation", count: 1, dense: 2, pruned: 2 },
    { kind: "spaces and line ends", count: 1, dense: 1, pruned: 1 },
  ]);
});

Deno.test("loss increase: the stretch that is shown is where the loss grew", async () => {
  const ids = Array.from({ length: 120 }, (_, i) => i);
  const decode = (ids: readonly number[]) => Promise.resolve(` ${ids.join(" ")}`);
  const tokenizer = { ...TOKENIZER, decode };
  const set = { sequences: [ids], length: 120, ignoredLabel: null, digest: "" };
  const pruned = new Float32Array(120);
  pruned.fill(1, 50, 90);
  const { passages: [{ worst }] } = await lossIncrease(
    set,
    new Float32Array(120),
    pruned,
    tokenizer,
  );
  // position 50 predicts token 51
  assert.equal(worst, Array.from({ length: 40 }, (_, i) => 51 + i).join(" "));
});

Deno.test("token kinds: by the text of a token and of the one before", () => {
  const kinds: [string, string, string][] = [
    [" sea", "the", "words"],
    ["sea", "\n", "words"],
    ["sea", " “", "words"],
    ["ing", " sail", "parts of words"],
    ["t", "don’", "parts of words"],
    [" Ahab", " said", "capitalised words"],
    ["Été", ". ", "capitalised words"],
    [" 1851", " in", "numbers"],
    [" —", " so", "punctuation"],
    ["\n\n", ".", "spaces and line ends"],
    ["\ufffd", "a", "other"],
    ["", "a", "other"],
    ["鯨", "。", "words"],
  ];
  for (const [text, before, kind] of kinds) assert.equal(kindOfText(text, before), kind, text);
});
