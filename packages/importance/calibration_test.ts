import { CalibrationError } from "@lopper/core";
import type { Tokenizer } from "@lopper/model-io";
import assert from "node:assert/strict";
import { beginning, calibrationSet, drawSamples, parseSamples } from "./calibration.ts";
import { nextTokens, perplexity, sequenceMeans } from "./perplexity.ts";

/** One token a character; the id is its code. */
const characters = (eosTokenId: number | null): Tokenizer => ({
  encode: (text) => Promise.resolve([...text].map((c) => c.charCodeAt(0))),
  decode: (ids) => Promise.resolve(String.fromCharCode(...ids)),
  eosTokenId,
  textStart: null,
  [Symbol.dispose]: () => {},
});

Deno.test("calibration: paragraphs of a .txt, lines of a .jsonl", () => {
  assert.deepEqual(parseSamples("a\nb\r\n\r\n\n c \n \t\nd\n", "x.txt"), ["a\nb", "c", "d"]);
  assert.deepEqual(parseSamples('{"text":"a"}\n\n{"text":" b","id":1}\n', "x.jsonl"), ["a", " b"]);
});

Deno.test("calibration: what is wrong is named with its line", () => {
  const refused = (text: string, file: string, message: RegExp) =>
    assert.throws(
      () => parseSamples(text, file),
      (error) => error instanceof CalibrationError && message.test(error.message),
    );
  refused("", "x.txt", /x\.txt: there is no text/);
  refused("text", "x.csv", /x\.csv: .*\.txt, \.jsonl or \.parquet/);
  refused('{"text":"a"}\nnope', "x.jsonl", /x\.jsonl, line 2: not JSON/);
  refused('{"text":3}', "x.jsonl", /line 1: each line needs the form/);
  refused("null", "x.jsonl", /line 1: each line needs the form/);
});

Deno.test("calibration: a draw keeps the file's order, repeats for a seed, and takes all when there are no more", () => {
  const samples = Array.from({ length: 50 }, (_, i) => String(i));
  const drawn = drawSamples(samples, 10, 1);
  assert.equal(new Set(drawn).size, 10);
  assert.deepEqual(drawn, drawn.toSorted((a, b) => Number(a) - Number(b)));
  assert.deepEqual(drawSamples(samples, 10, 1), drawn);
  assert.notDeepEqual(drawSamples(samples, 10, 2), drawn);
  assert.deepEqual(drawSamples(samples, 50, 1), samples);
  assert.deepEqual(drawSamples(samples, 99, 1), samples);
});

Deno.test("calibration: samples are joined with a blank line, cut, the tail dropped", async () => {
  const set = await calibrationSet(["abc", "de"], characters(null), 3, "text");
  assert.deepEqual(set.sequences, [[97, 98, 99], [10, 10, 100]]);
  await assert.rejects(
    calibrationSet(["abc"], characters(null), 4, "text"),
    /the text has 3 tokens and one sequence needs 4/,
  );
});

Deno.test("calibration: the beginning of a set has whole sequences, one at least, and a digest of its own", async () => {
  const set = await calibrationSet(["abcdefg"], characters(null), 2, "text");
  const lengths = [0, 3, 4, 99];
  const parts = await Promise.all(lengths.map((tokens) => beginning(set, tokens)));
  assert.deepEqual(parts.map(({ sequences }) => sequences.length), [1, 1, 2, 3]);
  assert.deepEqual(parts[2].sequences, set.sequences.slice(0, 2));
  assert.equal(parts[3].digest, set.digest);
  assert.notEqual(parts[2].digest, set.digest);
});

Deno.test("calibration: an eos id of 0 stands for none, and the digest tells sets apart", async () => {
  const of = async (text: string, eos: number | null) =>
    await calibrationSet([text], characters(eos), 2, "text");
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
