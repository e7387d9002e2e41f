import assert from "node:assert/strict";
import { encodeLongText } from "./encode_pieces.ts";
import { type BosRule, textSequences } from "./sequences.ts";
import type { Tokenizer } from "./tokenizer.ts";

const refuse = (problem: string) => new TypeError(problem);

/** One token a word, its length; so many zeros stand before a text, and a 99 behind it. */
const words = (before: number): Pick<Tokenizer, "encode"> => ({
  encode: (text, { addSpecialTokens = true } = {}) => {
    const own = (text.match(/\S+/g) ?? []).map(({ length }) => length);
    return Promise.resolve(addSpecialTokens ? [...Array(before).fill(0), ...own, 99] : own);
  },
});
const TEXT = "a bb ccc dddd eeeee ffffff";

Deno.test("sequences: each of them, the first or none begins with what the tokenizer puts before a text", async () => {
  const cut = (before: number, bos: BosRule, length = 3) =>
    textSequences(words(before), TEXT, { length, bos, refuse });
  assert.deepEqual(await cut(1, "each"), {
    sequences: [[0, 1, 2], [0, 3, 4], [0, 5, 6]],
    tokens: 7,
    taken: 2,
  });
  assert.deepEqual(await cut(1, "first"), {
    sequences: [[0, 1, 2], [3, 4, 5]],
    tokens: 8,
    taken: 3,
  });
  assert.deepEqual(await cut(1, "none"), {
    sequences: [[1, 2, 3], [4, 5, 6]],
    tokens: 6,
    taken: 3,
  });
  assert.deepEqual((await cut(2, "each", 4)).sequences, [[0, 0, 1, 2], [0, 0, 3, 4], [0, 0, 5, 6]]);
  // Where it puts nothing there, the rule makes no difference.
  assert.deepEqual(await cut(0, "each"), await cut(0, "first"));
  await assert.rejects(
    cut(2, "each", 2),
    /^TypeError: the tokenizer puts 2 tokens before a text, and sequences of 2 have no room/,
  );
});

Deno.test("sequences: a text of many pieces is cut as one, each sequence behind what begins it", async () => {
  const text = TEXT.repeat(4000);
  const { sequences, tokens } = await textSequences(words(1), text, {
    length: 10,
    bos: "each",
    refuse,
  });
  const ids = (await encodeLongText(words(1), text, { refuse })).slice(1);
  assert.equal(tokens, ids.length);
  assert.equal(sequences.length, Math.floor(ids.length / 9));
  assert.ok(sequences.every(([first, ...rest]) => first === 0 && rest.length === 9));
  assert.deepEqual(sequences.flatMap((ids) => ids.slice(1)), ids.slice(0, sequences.length * 9));
});
