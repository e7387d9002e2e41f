import assert from "node:assert/strict";
import { AddedTokenSplitter } from "./added_token_splitter.ts";

const PLAIN = {
  lstrip: false,
  rstrip: false,
  single_word: false,
  normalized: false,
  special: false,
};

function split(text: string, tokens: Readonly<Record<string, Partial<typeof PLAIN>>>) {
  const list = Object.entries(tokens).map(([content, flags], id) =>
    [content, { id, content, ...PLAIN, ...flags }] as const
  );
  return new AddedTokenSplitter(list).split(text);
}

// As tokenizers 0.23 does; more of it is in the fixture byte-bpe-added.
Deno.test("added tokens: spaces are taken once, and a token of spaces of which nothing is left is none", () => {
  const both = { lstrip: true, rstrip: true };
  assert.deepEqual(split("a    b", { " ": both }), ["a", 0, "b"]);
  assert.deepEqual(split("a x  x b", { x: both }), ["a", 0, 0, "b"]);
  assert.deepEqual(split("a   b", { " ": { rstrip: true } }), ["a", 0, 0, 0, "b"]);
});

Deno.test("added tokens: what stands beside a word of its own is no part of one, in any script", () => {
  const word = { x: { single_word: true } };
  for (const beside of ["a", "é", "\u0301", "1", "٣", "_", "\u200d", "𝕏"]) {
    assert.deepEqual(split(`${beside}x`, word), [`${beside}x`], beside);
    assert.deepEqual(split(`x${beside}`, word), [`x${beside}`], beside);
  }
  for (const beside of [" ", ".", "-", "🙂", "²"]) {
    assert.deepEqual(split(`${beside}x`, word), [beside, 0], beside);
    assert.deepEqual(split(`x${beside}`, word), [0, beside], beside);
  }
  // What begins in a token that is passed over is passed over with it.
  assert.deepEqual(split("axy", { xy: { single_word: true }, y: {} }), ["axy"]);
});

Deno.test("added tokens: of those that begin first the longest is found, of two of one text the first", () => {
  assert.deepEqual(split("abcd", { ab: {}, abc: {}, bcd: {} }), [1, "d"]);
  const twice = ["x", "x"].map((content, id) => [content, { id, content, ...PLAIN }] as const);
  assert.deepEqual(new AddedTokenSplitter(twice).split("x"), [0]);
  assert.deepEqual(split("", { a: {} }), []);
});
