import assert from "node:assert/strict";
import { quantizeQ4_0, quantizeQ8_0 } from "./quantize_blocks.ts";

const FIXTURE = new URL("../../../tests/fixtures/gguf/quantized.json", import.meta.url);
const bytes = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

Deno.test("Q8_0 and Q4_0 have the bits of llama.cpp's reference quantiser", async () => {
  const expected = JSON.parse(await Deno.readTextFile(FIXTURE));
  const values = new Float32Array(bytes(expected.values).buffer);
  assert.ok(values.length >= 32 * 70);
  assert.deepEqual(quantizeQ8_0(values), bytes(expected.Q8_0));
  assert.deepEqual(quantizeQ4_0(values), bytes(expected.Q4_0));
});

Deno.test("blocks too small for a scale are zeros, and parts of blocks are refused", () => {
  const tiny = new Float32Array(32).fill(2 ** -149);
  assert.deepEqual([...quantizeQ8_0(tiny)], new Array(34).fill(0));
  assert.throws(() => quantizeQ8_0(new Float32Array(33)), TypeError);
});
