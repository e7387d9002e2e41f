import assert from "node:assert/strict";
import { quantizeInt4, quantizeInt8 } from "./quantize.ts";

Deno.test("int8: rows get their own scale, the matrix is transposed, zero is exact", () => {
  const values = Float32Array.of(127, -1, 0, 0.5, -0.25, 0.125);
  const { matrix, scales } = quantizeInt8(values, 2, 3);
  assert.deepEqual([...scales], [1, Math.fround(0.5 / 127)]);
  // [columns, rows]
  assert.deepEqual([...matrix], [128 + 127, 128 + 127, 128 - 1, 128 - 63, 128, 128 + 32]);
  assert.deepEqual([...quantizeInt8(new Float32Array(2), 1, 2).matrix], [128, 128]);
});

Deno.test("int4: the extreme of a block becomes -8, two values in a byte, the rest of the last block zero", () => {
  const values = new Float32Array(34);
  values.set([8, -7, 1, 0.4]);
  values.set([-16, 2], 32);
  const { matrix, scales } = quantizeInt4(values, 1, 34);
  assert.deepEqual([...scales], [-1, 2]);
  assert.equal(matrix.length, 32);
  // 8 → −8, −7 → 7; 1 → −1, 0.4 → 0 (and not −0.4 rounded away)
  assert.deepEqual([...matrix.subarray(0, 3)], [0 | 15 << 4, 7 | 8 << 4, 8 | 8 << 4]);
  assert.deepEqual([...matrix.subarray(16, 18)], [0 | 9 << 4, 8 | 8 << 4]);
});

Deno.test("int4 and int8: what is read back is within half a step", () => {
  const [rows, columns] = [5, 70];
  const values = Float32Array.from(
    { length: rows * columns },
    (_, i) => Math.sin(i * 1.7) * (i % 7),
  );
  const eight = quantizeInt8(values, rows, columns);
  const four = quantizeInt4(values, rows, columns);
  const blocks = Math.ceil(columns / 32);
  values.forEach((value, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const byte = eight.matrix[column * rows + row];
    const scale = eight.scales[row];
    assert.ok(Math.abs((byte - 128) * scale - value) <= scale * 0.5001);
    const block = row * blocks + (column >> 5);
    const pair = four.matrix[block * 16 + (column % 32 >> 1)];
    const bits = column % 2 === 0 ? pair & 15 : pair >> 4;
    const step = four.scales[block];
    // the side without −8 ends a step earlier
    assert.ok(Math.abs((bits - 8) * step - value) <= Math.abs(step) * 1.0001);
  });
});
