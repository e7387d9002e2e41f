/** Values that share a scale; the size for which most engines have fast kernels. */
export const QUANT_BLOCK = 32;

/** A matrix in few bits, with what turns them back. */
export interface QuantizedMatrix {
  /** `[rows, blocks, 32 · bits / 8]`; of two values in a byte, the first is in the lower half. */
  readonly matrix: Uint8Array;
  /** `[rows, blocks]` */
  readonly scales: Float32Array;
  /** The bits that stand for 0: `[rows, blocks · bits / 8]`, each row from a byte of its own on. */
  readonly zeros: Uint8Array;
}

/**
 * A matrix `[rows, columns]` in 4 or 8 bits as com.microsoft.MatMulNBits reads it: 32 values of a
 * row in a block, the last one filled up with zeros; value = (bits − zero) · scale. The range of a
 * block goes from its least to its largest value, and has 0 in it, which is exact, as onnxruntime's
 * own quantiser does it without symmetry; with 4 bits, it is as much smaller as makes the squared
 * error least.
 */
export function quantizeBlocks(
  values: Float32Array,
  rows: number,
  columns: number,
  bits: 4 | 8,
): QuantizedMatrix {
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
      const range = bits === 4
        ? bestRange(values.subarray(start, end), least, largest, top)
        : { least, largest };
      const scale = scales[index] = (range.largest - range.least) / top;
      const inverse = scale === 0 ? 0 : 1 / scale;
      const zero = Math.round(-range.least * inverse);
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

/**
 * Shares of the whole range of a block that are tried with 4 bits: outliers are worth less than
 * finer steps.
 */
const RANGE_SHARES = [1, 0.95, 0.9, 0.85, 0.8];

/**
 * The range, of those around 0 with these shares of the whole one, that has the least squared
 * error; the widest of equal ones.
 */
function bestRange(values: Float32Array, least: number, largest: number, top: number) {
  let best = { least, largest };
  let lowest = Infinity;
  for (const share of RANGE_SHARES) {
    const range = { least: least * share, largest: largest * share };
    // As it is stored: what is read back is a multiple of this.
    const scale = Math.fround((range.largest - range.least) / top);
    if (scale === 0) break;
    const zero = Math.round(-range.least / scale);
    let error = 0;
    for (let i = 0; i < values.length; i++) {
      const code = Math.min(top, Math.max(0, Math.round(values[i] / scale) + zero));
      error += ((code - zero) * scale - values[i]) ** 2;
    }
    if (error < lowest) [best, lowest] = [range, error];
  }
  return best;
}
