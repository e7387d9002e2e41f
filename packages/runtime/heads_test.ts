import type { BackendDescription } from "@lopper/backends";
import assert from "node:assert/strict";
import { headRows } from "./heads.ts";

const on = (engines: number) => ({ engines }) as BackendDescription;

Deno.test("heads: a run has rows enough to be fast, and no more logits than that takes", () => {
  for (const vocabSize of [24, 4096, 32_000, 49_152, 262_144]) {
    const rows = headRows(vocabSize, on(1));
    assert.ok(rows >= 64 && rows <= 512, `${rows} rows beside ${vocabSize} tokens`);
    assert.ok(rows === 64 || rows * vocabSize * 4 <= 50_331_648, `${rows} rows`);
    assert.equal(headRows(vocabSize, on(3)), 3 * rows);
  }
  assert.equal(headRows(4096, on(1)), 512);
  assert.equal(headRows(49_152, on(1)), 256);
});
