import type { Tokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { beginning, calibrationSet, calibrationSetIfEnough, MAX_SET_BYTES } from "./calibration.ts";
import { nextTokens, perplexity, sequenceMeans } from "./perplexity.ts";

/** One token a character; the id is its code. */
const characters = (eosTokenId: number | null): Tokenizer => ({
  encode: (text) => Promise.resolve([...text].map((c) => c.charCodeAt(0))),
  decode: (ids) => Promise.resolve(String.fromCharCode(...ids)),
  eosTokenId,
  textStart: null,
  [Symbol.dispose]: () => {},
});

const by = (length: number) => ({ length, bos: "each" as const });
const text = (...samples: readonly string[]) => ({ samples, what: "text" });

Deno.test("calibration: samples are joined with a blank line, cut, the tail dropped", async () => {
  const set = await calibrationSet(text("abc", "de"), characters(null), by(3));
  assert.deepEqual(set.sequences, [[97, 98, 99], [10, 10, 100]]);
  await assert.rejects(
    calibrationSet(text("abc"), characters(null), by(4)),
    /^CalibrationError: text: the text has 3 tokens and one sequence needs 4/,
  );
  assert.equal(await calibrationSetIfEnough(text("abc"), characters(null), by(4)), null);
  assert.deepEqual(
    (await calibrationSetIfEnough(text("abcd"), characters(null), by(4)))!.sequences,
    [[97, 98, 99, 100]],
  );
});

Deno.test("calibration: the beginning of a set has whole sequences, one at least, and a digest of its own", async () => {
  const set = await calibrationSet(text("abcdefg"), characters(null), by(2));
  const lengths = [0, 3, 4, 99];
  const parts = await Promise.all(lengths.map((tokens) => beginning(set, tokens)));
  assert.deepEqual(parts.map(({ sequences }) => sequences.length), [1, 1, 2, 3]);
  assert.deepEqual(parts[2].sequences, set.sequences.slice(0, 2));
  assert.equal(parts[3].digest, set.digest);
  assert.notEqual(parts[2].digest, set.digest);
});

Deno.test("calibration: an eos id of 0 stands for none, and the digest tells sets apart", async () => {
  const of = async (sample: string, eos: number | null) =>
    await calibrationSet(text(sample), characters(eos), by(2));
  assert.equal((await of("abcd", 0)).ignoredLabel, null);
  assert.equal((await of("abcd", 98)).ignoredLabel, 98);
  const digests = await Promise.all([
    of("abcd", 0),
    of("abcd", null),
    of("abcd", 98),
    of("abce", 0),
  ]);
  const [a, b, c, d] = digests.map(({ digest }) => digest);
  assert.equal(a, b);
  assert.equal(new Set([a, c, d]).size, 3);
});

Deno.test("perplexity: means over predicted tokens, ignored labels left out, then over sequences", () => {
  const sequences = [[5, 6, 7], [5, 7, 7]];
  assert.deepEqual(nextTokens(sequences), [6, 7, 0, 7, 7, 0]);
  const nll = Float32Array.of(1, 2, 99, 3, 5, 99);
  assert.deepEqual(sequenceMeans(nll, sequences, null), [1.5, 4]);
  assert.deepEqual(sequenceMeans(nll, sequences, 6), [2, 4]);
  assert.equal(perplexity([1.5, 4]), Math.exp(2.75));
});

Deno.test("calibration: a set has a limit of text, beyond which samples are not even read", async () => {
  const sample = "word ".repeat(2 ** 18);
  let read = 0;
  const endless = {
    async *[Symbol.asyncIterator]() {
      for (;; read++) yield await Promise.resolve(sample);
    },
  };
  const most = Math.floor(MAX_SET_BYTES / sample.length);
  const words: Pick<Tokenizer, "encode"> = {
    encode: (part) => Promise.resolve([...part.matchAll(/\S+/g)].map(() => 7)),
  };
  const tokenizer = { ...characters(null), ...words };
  await assert.rejects(
    calibrationSet({ samples: endless, what: "long.txt" }, tokenizer, by(4)),
    /^CalibrationError: long\.txt: the text has more than 4194304 bytes/,
  );
  assert.equal(read, most, "and one sample more");
  read = 0;
  const beginning = { samples: endless, what: "long.txt", beginning: true };
  const set = await calibrationSet(beginning, tokenizer, by(2 ** 18));
  assert.equal(set.sequences.length, most);
  assert.equal(read, most);
  const huge = { samples: ["x".repeat(MAX_SET_BYTES)], what: "huge.txt", beginning: true };
  await assert.rejects(calibrationSet(huge, tokenizer, by(4)), /huge\.txt: the text has more than/);
});
