import type { BlockGrid } from "./block_grid.ts";
import { viewOf } from "./dequantize.ts";
import { AffineSearch, symmetricScale } from "./scale_search.ts";

/** Values of a row that share a scale (ggml-common.h, QK4_0 and the like). */
const BLOCK_VALUES = 32;
const HALF = BLOCK_VALUES / 2;
const f = Math.fround;

/**
 * Blocks of 8 bits (ggml-quants.c, `quantize_row_q8_0_ref`): d, 32 signed bytes. The largest
 * magnitude of a block becomes 127 steps, halves are rounded away from zero. All arithmetic is that
 * of float32, here and below.
 */
export const Q8_0: BlockGrid = {
  values: BLOCK_VALUES,
  bytes: 2 + BLOCK_VALUES,
  part: BLOCK_VALUES,
  codes: 255,
  encoder: () => (values, from, out, at) => {
    const view = viewOf(out);
    const scale = f(Math.abs(extremeOf(values, from)) / 127);
    const inverse = inverseOf(scale);
    view.setFloat16(at, scale, true);
    for (let i = 0; i < BLOCK_VALUES; i++) {
      const steps = f(values[from + i] * inverse);
      const size = Math.abs(steps);
      const whole = Math.floor(size);
      const rounded = whole + (size - whole >= 0.5 ? 1 : 0);
      view.setInt8(at + 2 + i, steps < 0 ? -rounded : rounded);
    }
  },
  lines: (block, at, steps, offsets) => {
    steps[0] = viewOf(block).getFloat16(at, true);
    offsets[0] = -127 * steps[0];
  },
  place: (codes, out, at) => {
    for (let i = 0; i < BLOCK_VALUES; i++) out[at + 2 + i] = codes[i] - 127;
  },
};

/**
 * d, where there are 5 bits the fifth ones, nibbles: d · (code − 8), or − 16
 * (`quantize_row_q4_0_ref`, `quantize_row_q5_0_ref`). The value of the largest magnitude becomes −8
 * or −16 steps.
 */
function around(bits: 4 | 5): BlockGrid {
  const half = 2 ** (bits - 1);
  const place = bits === 4 ? nibbles(2) : fiveBits(2);
  return {
    values: BLOCK_VALUES,
    bytes: 2 + BLOCK_VALUES * bits / 8,
    part: BLOCK_VALUES,
    codes: 2 * half,
    encoder: () => {
      const codes = new Uint8Array(BLOCK_VALUES);
      return (values, from, out, at, weights) => {
        const scale = weights
          ? symmetricScale(values, from, { count: BLOCK_VALUES, half, weights }, codes)
          : f(extremeOf(values, from) / -half);
        const inverse = inverseOf(scale);
        viewOf(out).setFloat16(at, scale, true);
        for (let i = 0; i < BLOCK_VALUES; i++) {
          const steps = Math.trunc(f(f(values[from + i] * inverse) + half + 0.5));
          codes[i] = Math.max(0, Math.min(2 * half - 1, steps));
        }
        place(codes, out, at);
      };
    },
    lines: (block, at, steps, offsets) => {
      steps[0] = viewOf(block).getFloat16(at, true);
      offsets[0] = -half * steps[0];
    },
    place,
  };
}

/**
 * d, m, where there are 5 bits the fifth ones, nibbles: d · code + m (`quantize_row_q4_1_ref`,
 * `quantize_row_q5_1_ref`), from the least to the largest value of a block.
 */
function between(bits: 4 | 5): BlockGrid {
  const top = 2 ** bits - 1;
  const place = bits === 4 ? nibbles(4) : fiveBits(4);
  return {
    values: BLOCK_VALUES,
    bytes: 4 + BLOCK_VALUES * bits / 8,
    part: BLOCK_VALUES,
    codes: top + 1,
    encoder: () => {
      const codes = new Uint8Array(BLOCK_VALUES);
      const search = new AffineSearch(BLOCK_VALUES, top, { first: -0.9, step: 0.05, tries: 36 });
      return (values, from, out, at, weights) => {
        let [scale, least] = [0, 0];
        if (weights) {
          search.run(values, from, weights);
          [scale, least] = [search.scale, -search.minimum];
        } else {
          const [first, last] = rangeOf(values, from);
          [scale, least] = [f(f(last - first) / top), first];
        }
        const inverse = inverseOf(scale);
        const view = viewOf(out);
        view.setFloat16(at, scale, true);
        view.setFloat16(at + 2, least, true);
        for (let i = 0; i < BLOCK_VALUES; i++) {
          const steps = Math.trunc(f(f(f(values[from + i] - least) * inverse) + 0.5));
          codes[i] = Math.max(0, Math.min(top, steps));
        }
        place(codes, out, at);
      };
    },
    lines: (block, at, steps, offsets) => {
      const view = viewOf(block);
      steps[0] = view.getFloat16(at, true);
      offsets[0] = view.getFloat16(at + 2, true);
    },
    place,
  };
}

export const Q4_0 = around(4);
export const Q5_0 = around(5);
export const Q4_1 = between(4);
export const Q5_1 = between(5);

/** The first half of a block is in the lower halves of its bytes, the second in the upper ones. */
function nibbles(place: number): BlockGrid["place"] {
  return (codes, out, at) => {
    for (let i = 0; i < HALF; i++) out[at + place + i] = codes[i] & 15 | codes[HALF + i] << 4;
  };
}

function fiveBits(place: number): BlockGrid["place"] {
  const low = nibbles(place + 4);
  return (codes, out, at) => {
    let high = 0;
    for (let i = 0; i < BLOCK_VALUES; i++) high |= codes[i] >> 4 << i;
    viewOf(out).setInt32(at + place, high, true);
    low(codes, out, at);
  };
}

/** The first value of the largest magnitude, with its sign; a block of zeros has no sign. */
function extremeOf(values: Float32Array, from: number): number {
  let extreme = 0;
  for (let i = from; i < from + BLOCK_VALUES; i++) {
    if (Math.abs(values[i]) > Math.abs(extreme)) extreme = values[i];
  }
  return extreme;
}

function rangeOf(values: Float32Array, from: number): [least: number, largest: number] {
  let least = values[from], largest = least;
  for (let i = from + 1; i < from + BLOCK_VALUES; i++) {
    if (values[i] < least) least = values[i];
    if (values[i] > largest) largest = values[i];
  }
  return [least, largest];
}

/** Steps per unit; 0 for a block of zeros, and for one so small that its inverse is infinite. */
function inverseOf(scale: number): number {
  const inverse = f(1 / scale);
  return Number.isFinite(inverse) ? inverse : 0;
}
