import assert from "node:assert/strict";
import { quantizeBlocks } from "./quantize_blocks.ts";

Deno.test("quantisation: 4 bits, two in a byte, every block with its own scale and zero", () => {
  const values = new Float32Array(34);
  values.set([-3, 12, 0.4, 1]);
  values.set([-30], 32);
  const { matrix, scales, zeros } = quantizeBlocks(values, 1, 34, 4);
  assert.deepEqual([...scales], [1, 2]);
  assert.deepEqual([...zeros], [3 | 15 << 4]);
  assert.equal(matrix.length, 32);
  // −3 → 0, 12 → 15; 0.4 → 3, 1 → 4; zeros are exact
  assert.deepEqual([...matrix.subarray(0, 3)], [0 | 15 << 4, 3 | 4 << 4, 3 | 3 << 4]);
  assert.deepEqual([...matrix.subarray(16, 18)], [0 | 15 << 4, 15 | 15 << 4]);
});

Deno.test("quantisation: 8 bits have a byte each, and a block of zeros stays one", () => {
  const values = Float32Array.of(-128, 127, 0, ...new Float32Array(29));
  const { matrix, scales, zeros } = quantizeBlocks(values, 1, 32, 8);
  assert.deepEqual([scales[0], zeros[0], ...matrix.subarray(0, 4)], [1, 128, 0, 255, 128, 128]);
  const none = quantizeBlocks(new Float32Array(32), 1, 32, 8);
  assert.deepEqual([none.scales[0], none.zeros[0], none.matrix[5]], [0, 0, 0]);
});

for (const bits of [4, 8] as const) {
  Deno.test(`quantisation: what is read back from ${bits} bits is within a step`, () => {
    const [rows, columns] = [5, 70];
    const values = Float32Array.from(
      { length: rows * columns },
      (_, i) => Math.sin(i * 1.7) * (i % 7) + 2,
    );
    const { matrix, scales, zeros } = quantizeBlocks(values, rows, columns, bits);
    const perByte = 8 / bits;
    const code = (bytes: Uint8Array, i: number) =>
      bytes[Math.floor(i / perByte)] >> (i % perByte * bits) & (2 ** bits - 1);
    const blocks = 3;
    const zeroBytes = Math.ceil(blocks / perByte);
    values.forEach((value, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      const block = row * blocks + (column >> 5);
      const zero = code(zeros.subarray(row * zeroBytes), column >> 5);
      const back = (code(matrix, block * 32 + column % 32) - zero) * scales[block];
      assert.ok(Math.abs(back - value) <= scales[block] * 1.001, `${value} became ${back}`);
    });
  });
}
