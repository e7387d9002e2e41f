/** Values of a row that share a scale (ggml-common.h, QK4_0 and QK8_0). */
export const BLOCK_VALUES = 32;
/** Bytes of a block: the scale as float16, then the values. */
export const Q8_0_BYTES = 2 + BLOCK_VALUES;
export const Q4_0_BYTES = 2 + BLOCK_VALUES / 2;

/**
 * Blocks of 8 bits (ggml-quants.c, `quantize_row_q8_0_ref`): the largest magnitude of a block
 * becomes 127 steps, halves are rounded away from zero. All arithmetic is that of float32.
 * @param values whole blocks.
 */
export function quantizeQ8_0(values: Float32Array): Uint8Array {
  const blocks = blocksOf(values);
  const out = new Uint8Array(blocks * Q8_0_BYTES);
  const view = new DataView(out.buffer);
  for (let block = 0; block < blocks; block++) {
    const start = block * BLOCK_VALUES;
    const at = block * Q8_0_BYTES;
    const scale = Math.fround(Math.abs(extremeOf(values, start)) / 127);
    const inverse = inverseOf(scale);
    view.setFloat16(at, scale, true);
    for (let i = 0; i < BLOCK_VALUES; i++) {
      const steps = Math.fround(values[start + i] * inverse);
      const size = Math.abs(steps);
      const whole = Math.floor(size);
      const rounded = whole + (size - whole >= 0.5 ? 1 : 0);
      view.setInt8(at + 2 + i, steps < 0 ? -rounded : rounded);
    }
  }
  return out;
}

/**
 * Blocks of 4 bits (ggml-quants.c, `quantize_row_q4_0_ref`): the value of the largest magnitude
 * becomes −8 steps, and the first half of a block lies in the lower halves of its bytes. All
 * arithmetic is that of float32.
 * @param values whole blocks.
 */
export function quantizeQ4_0(values: Float32Array): Uint8Array {
  const blocks = blocksOf(values);
  const out = new Uint8Array(blocks * Q4_0_BYTES);
  const view = new DataView(out.buffer);
  for (let block = 0; block < blocks; block++) {
    const start = block * BLOCK_VALUES;
    const at = block * Q4_0_BYTES;
    const scale = extremeOf(values, start) / -8;
    const inverse = inverseOf(scale);
    view.setFloat16(at, scale, true);
    for (let i = 0; i < BLOCK_VALUES; i++) {
      const steps = Math.fround(Math.fround(values[start + i] * inverse) + 8.5);
      const bits = Math.min(15, Math.trunc(steps));
      out[at + 2 + i % (BLOCK_VALUES / 2)] |= i < BLOCK_VALUES / 2 ? bits : bits << 4;
    }
  }
  return out;
}

function blocksOf(values: Float32Array): number {
  const blocks = values.length / BLOCK_VALUES;
  if (Number.isInteger(blocks)) return blocks;
  throw new TypeError(`${values.length} values are not whole blocks of ${BLOCK_VALUES}`);
}

/** The first value of the largest magnitude, with its sign. */
function extremeOf(values: Float32Array, start: number): number {
  let extreme = values[start];
  for (let i = start + 1; i < start + BLOCK_VALUES; i++) {
    if (Math.abs(values[i]) > Math.abs(extreme)) extreme = values[i];
  }
  return extreme;
}

/** Steps per unit; 0 for a block of zeros, and for one so small that its inverse is infinite. */
function inverseOf(scale: number): number {
  const inverse = Math.fround(1 / scale);
  return Number.isFinite(inverse) ? inverse : 0;
}
