import assert from "node:assert/strict";
import { type BlockGrid, encodeBlocks } from "./block_grid.ts";
import { BLOCK_GRIDS } from "./block_grids.ts";
import { READABLE_TYPES } from "./tensor_types.ts";
import { TENSOR_TYPES } from "./writer.ts";

const FIXTURES = new URL("../../../tests/fixtures/gguf/", import.meta.url);
const bytes = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const fixture = async (name: string) =>
  JSON.parse(await Deno.readTextFile(new URL(name, FIXTURES)));
const GRIDS = Object.entries(BLOCK_GRIDS) as readonly (readonly [
  keyof typeof BLOCK_GRIDS,
  BlockGrid,
])[];

Deno.test("Q8_0 and Q4_0 have the bits of gguf's quantiser", async () => {
  const expected = await fixture("quantized.json");
  const values = new Float32Array(bytes(expected.values).buffer);
  assert.ok(values.length >= 32 * 68);
  assert.deepEqual(encodeBlocks(BLOCK_GRIDS.Q8_0, values), bytes(expected.Q8_0));
  assert.deepEqual(encodeBlocks(BLOCK_GRIDS.Q4_0, values), bytes(expected.Q4_0));
});

for (const [name, grid] of GRIDS) {
  Deno.test(`${name} has the bits of llama.cpp's reference quantiser`, async () => {
    const expected = await fixture("k_quants.json");
    const values = new Float32Array(bytes(expected.values).buffer);
    assert.ok(values.length >= 256 * 40);
    const found = encodeBlocks(grid, values);
    const wanted = bytes(expected.types[name]);
    assert.equal(found.length, wanted.length);
    for (let at = 0; at < found.length; at += grid.bytes) {
      const [own, theirs] = [found, wanted].map((all) => all.subarray(at, at + grid.bytes));
      assert.deepEqual(own, theirs, `block ${at / grid.bytes}`);
    }
  });

  Deno.test(`${name}: lines and codes are what its blocks are read as`, async () => {
    const { blocks } = (await fixture("blocks.json")).types[name];
    const data = bytes(blocks);
    const { dequantize, blockSize, blockBytes } = READABLE_TYPES.find((t) => t.name === name)!;
    assert.deepEqual([grid.values, grid.bytes], [blockSize, blockBytes]);
    assert.deepEqual([grid.values, grid.bytes], [
      TENSOR_TYPES[name].values,
      TENSOR_TYPES[name].bytes,
    ]);
    const parts = grid.values / grid.part;
    const [steps, offsets] = [new Float32Array(parts), new Float32Array(parts)];
    const codes = Uint8Array.from({ length: grid.values }, (_, i) => (i * 37 + 11) % grid.codes);
    for (let at = 0; at < data.length; at += grid.bytes) {
      grid.lines(data, at, steps, offsets);
      const placed = data.slice();
      grid.place(codes, placed, at);
      const read = new Float32Array(grid.values);
      dequantize!(placed.subarray(at, at + grid.bytes), read);
      codes.forEach((code, i) => {
        const part = Math.floor(i / grid.part);
        const value = steps[part] * code + offsets[part];
        const room = 2 ** -23 * (Math.abs(steps[part]) * grid.codes + Math.abs(offsets[part]));
        assert.ok(Math.abs(read[i] - value) <= room, `${at}, ${i}: ${read[i]} and ${value}`);
      });
    }
  });
}

Deno.test("weighted errors choose other scales, and what counts is nearer", () => {
  const random = (i: number) => Math.sin(i * 12.9898) * 43758.5453 % 1;
  const values = Float32Array.from({ length: 256 }, (_, i) => random(i) * random(i + 999));
  const weights = Float32Array.from(values, (_, i) => i % 4 === 1 ? 1000 : 1);
  for (const [name, grid] of GRIDS) {
    if (name === "Q8_0") continue;
    const { dequantize } = READABLE_TYPES.find((t) => t.name === name)!;
    const errorOf = (weighted: boolean) => {
      const out = new Uint8Array(256 / grid.values * grid.bytes);
      const encode = grid.encoder();
      for (let b = 0; b < 256 / grid.values; b++) {
        const own = weights.subarray(b * grid.values, (b + 1) * grid.values);
        encode(values, b * grid.values, out, b * grid.bytes, weighted ? own : null);
      }
      const read = new Float32Array(256);
      dequantize!(out, read);
      return read.reduce((sum, value, i) => sum + weights[i] * (value - values[i]) ** 2, 0);
    };
    assert.ok(errorOf(true) < errorOf(false), `${name}: ${errorOf(true)}, ${errorOf(false)}`);
  }
});

Deno.test("blocks too small for a scale are zeros, and parts of blocks are refused", () => {
  const tiny = new Float32Array(32).fill(2 ** -149);
  assert.deepEqual([...encodeBlocks(BLOCK_GRIDS.Q8_0, tiny)], new Array(34).fill(0));
  assert.throws(() => encodeBlocks(BLOCK_GRIDS.Q8_0, new Float32Array(33)), TypeError);
  assert.throws(() => encodeBlocks(BLOCK_GRIDS.Q4_K, new Float32Array(32)), TypeError);
});
