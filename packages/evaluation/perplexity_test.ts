import { EvaluationError } from "@lopper/core";
import { MemorySource } from "@lopper/formats";
import assert from "node:assert/strict";
import { sharedPath } from "../../tests/support/shared_data.ts";
import { joinedText, textPerplexity, textWindows } from "./perplexity.ts";
import { readRows } from "./rows.ts";
import { testTokenizer } from "./testing/cases.ts";

const options = { length: 8, bos: "each" } as const;

Deno.test("perplexity: windows do not overlap, and the tail is dropped", async () => {
  using tokenizer = await testTokenizer("demo");
  const text =
    "It was a dark and stormy night; the rain fell in torrents — except at occasional intervals.";
  const { windows, tokens, bytes } = await textWindows(text, tokenizer, options);
  const ids = await tokenizer.encode(text);
  assert.equal(tokens, ids.length);
  assert.equal(bytes, new TextEncoder().encode(text).length);
  assert.deepEqual(windows.flat(), ids.slice(0, Math.floor(ids.length / 8) * 8));
  assert.ok(windows.every(({ length }) => length === 8));
  await assert.rejects(textWindows("Rain", tokenizer, options), EvaluationError);
  await assert.rejects(textWindows(text, tokenizer, { ...options, length: 1 }), EvaluationError);
});

Deno.test("perplexity: of all predicted tokens, in bits of the whole text, known windows as they are", async () => {
  const text = { windows: [[1, 2, 3], [4, 5, 6], [7, 8, 9]], length: 3, tokens: 10, bytes: 40 };
  const scored: number[] = [];
  const result = await textPerplexity(
    // The last position predicts nothing, whatever is there.
    { nll: ([[first]]) => Promise.resolve(Float32Array.of(first, first + 1, 1000)) },
    text,
    { known: new Map([[1, 6.5]]), onScored: (window) => void scored.push(window) },
  );
  assert.deepEqual(scored, [0, 2]);
  assert.deepEqual(result.windowNll, [1.5, 6.5, 7.5]);
  const mean = (1.5 + 6.5 + 7.5) / 3;
  assert.ok(Math.abs(result.perplexity - Math.exp(mean)) < 1e-9);
  assert.ok(Math.abs(result.bitsPerByte - mean / Math.LN2 / 4) < 1e-12);
});

Deno.test("perplexity: WikiText-2 is joined as the literature joins it", async () => {
  const path = sharedPath("datasets/wikitext2/wiki.test.raw.gz", "this test");
  if (path === null) return;
  const { rows } = await readRows(new MemorySource(path, await Deno.readFile(path)));
  assert.equal(rows.length, 4358);
  const bytes = new TextEncoder().encode(joinedText(rows, path));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  assert.equal(
    Array.from(digest, (b) => b.toString(16).padStart(2, "0")).join(""),
    "696cca6b65a171b0a358a4be6732cdfdf2dd6164a32e20fd70e3c13fc4dfae83",
  );
});
