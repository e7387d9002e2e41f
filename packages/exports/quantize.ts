import { INT4_BLOCK, INT8_ZERO } from "@lopper/graphs";

/** A matrix in few bits, with the scales that turn them back. */
export interface Quantized {
  readonly matrix: Uint8Array;
  readonly scales: Float32Array;
}

/**
 * A matrix `[rows, columns]` in 8 bits with a scale for each row, transposed: `matrix [columns, rows]`, value =
 * (byte − 128) · scale. The largest magnitude of a row becomes 127 steps.
 */
export function quantizeInt8(values: Float32Array, rows: number, columns: number): Quantized {
  const matrix = new Uint8Array(values.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let largest = 0;
    for (let i = start; i < start + columns; i++) {
      largest = Math.max(largest, Math.abs(values[i]));
    }
    const scale = scales[row] = largest / 127;
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let column = 0; column < columns; column++) {
      const steps = Math.round(values[start + column] * inverse);
      matrix[column * rows + row] = INT8_ZERO + Math.min(127, Math.max(-127, steps));
    }
  }
  return { matrix, scales };
}

/**
 * A matrix `[rows, columns]` in 4 bits with a scale for each block of 32 values of a row, as com.microsoft.MatMulNBits reads
 * it: `matrix [rows, blocks, 16]`, the first of two values in the lower half of a byte, value = (bits − 8) · scale. The value
 * of the largest magnitude becomes −8, so that its sign has the longer side of the range.
 */
export function quantizeInt4(values: Float32Array, rows: number, columns: number): Quantized {
  const blocks = Math.ceil(columns / INT4_BLOCK);
  const matrix = new Uint8Array(rows * blocks * INT4_BLOCK / 2);
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const index = row * blocks + block;
      const start = row * columns + block * INT4_BLOCK;
      const count = Math.min(INT4_BLOCK, columns - block * INT4_BLOCK);
      let extreme = 0;
      for (let i = start; i < start + count; i++) {
        if (Math.abs(values[i]) > Math.abs(extreme)) extreme = values[i];
      }
      const scale = scales[index] = extreme / -8;
      const inverse = scale === 0 ? 0 : 1 / scale;
      for (let i = 0; i < INT4_BLOCK; i++) {
        const steps = i < count ? Math.round(values[start + i] * inverse) : 0;
        const bits = Math.min(15, Math.max(0, steps + 8));
        matrix[(index * INT4_BLOCK + i) >> 1] |= i % 2 === 0 ? bits : bits << 4;
      }
    }
  }
  return { matrix, scales };
}
