import { QUANT_BLOCK } from "@lopper/graphs";

/** A matrix in few bits, with what turns them back. */
export interface Quantized {
  /** `[rows, blocks, 32 · bits / 8]`; of two values in a byte, the first is in the lower half. */
  readonly matrix: Uint8Array;
  /** `[rows, blocks]` */
  readonly scales: Float32Array;
  /** The bits that stand for 0: `[rows, blocks · bits / 8]`, each row from a byte of its own on. */
  readonly zeros: Uint8Array;
}

/**
 * A matrix `[rows, columns]` in 4 or 8 bits as com.microsoft.MatMulNBits reads it: 32 values of a row in a block, the last
 * one filled up with zeros; value = (bits − zero) · scale. The range of a block goes from its least to its largest value, and
 * has 0 in it, which is exact. As onnxruntime's own quantiser does it without symmetry.
 */
export function quantizeBlocks(
  values: Float32Array,
  rows: number,
  columns: number,
  bits: 4 | 8,
): Quantized {
  const blocks = Math.ceil(columns / QUANT_BLOCK);
  const perByte = 8 / bits;
  const top = 2 ** bits - 1;
  const zeroBytes = Math.ceil(blocks / perByte);
  const matrix = new Uint8Array(rows * blocks * QUANT_BLOCK / perByte);
  const scales = new Float32Array(rows * blocks);
  const zeros = new Uint8Array(rows * zeroBytes);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const start = row * columns + block * QUANT_BLOCK;
      const end = Math.min(start + QUANT_BLOCK, (row + 1) * columns);
      let least = 0, largest = 0;
      for (let i = start; i < end; i++) {
        least = Math.min(least, values[i]);
        largest = Math.max(largest, values[i]);
      }
      const index = row * blocks + block;
      const scale = scales[index] = (largest - least) / top;
      const inverse = scale === 0 ? 0 : 1 / scale;
      const zero = Math.round(-least * inverse);
      zeros[row * zeroBytes + Math.floor(block / perByte)] |= zero << (block % perByte * bits);
      for (let i = 0; i < QUANT_BLOCK; i++) {
        const steps = start + i < end ? Math.round(values[start + i] * inverse) : 0;
        const code = Math.min(top, Math.max(0, steps + zero));
        matrix[Math.floor((index * QUANT_BLOCK + i) / perByte)] |= code << (i % perByte * bits);
      }
    }
  }
  return { matrix, scales, zeros };
}
