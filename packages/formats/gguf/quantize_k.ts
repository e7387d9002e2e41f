import type { BlockGrid } from "./block_grid.ts";
import { viewOf } from "./dequantize.ts";
import { sixBitMinimum, sixBitScale } from "./dequantize_k.ts";
import { AffineSearch, nearest, NOTHING, type ScaleTries, symmetricScale } from "./scale_search.ts";

/**
 * Super-blocks of 256 values ("K-quants"), with the bits of llama.cpp's reference quantiser
 * (ggml-quants.c, `quantize_row_q?_K_ref`); dequantize_k.ts says how they are laid out.
 */

const VALUES = 256;
const f = Math.fround;
/** Values that share one of the eight scales and minima of Q4_K and Q5_K. */
const PART = 32;
const PARTS = VALUES / PART;
/** The largest number of 6 bits. */
const SIX_BITS = 63;
/** Values that share one of the sixteen scales of Q6_K. */
const Q6_PART = 16;
const Q6_PARTS = VALUES / Q6_PART;

/**
 * d, dmin, 12 bytes of scales and minima, with 5 bits 32 bytes of the fifth ones, nibbles: for
 * every 32 values the scale and minimum with the least squared error, weighted by magnitudes.
 */
function affine(bits: 4 | 5, tries: ScaleTries): BlockGrid {
  const top = 2 ** bits - 1;
  const place = bits === 4 ? placeQ4 : placeQ5;
  const lines: BlockGrid["lines"] = (block, at, steps, offsets) => {
    const view = viewOf(block);
    const d = view.getFloat16(at, true);
    const dmin = view.getFloat16(at + 2, true);
    for (let s = 0; s < PARTS; s++) {
      steps[s] = d * sixBitScale(block, at + 4, s);
      offsets[s] = -dmin * sixBitMinimum(block, at + 4, s);
    }
  };
  return {
    values: VALUES,
    bytes: 16 + VALUES * bits / 8,
    part: PART,
    codes: top + 1,
    encoder: () => {
      const codes = new Uint8Array(VALUES);
      const own = new Float32Array(PART);
      const search = new AffineSearch(PART, top, tries);
      const [scales, minima] = [new Float32Array(PARTS), new Float32Array(PARTS)];
      const [steps, offsets] = [new Float32Array(PARTS), new Float32Array(PARTS)];
      return (values, from, out, at, weights) => {
        for (let s = 0; s < PARTS; s++) {
          const first = from + PART * s;
          if (weights) own.set(weights.subarray(PART * s, PART * (s + 1)));
          else byMagnitude(values, first, own);
          search.run(values, first, own);
          codes.set(search.codes, PART * s);
          scales[s] = search.scale;
          minima[s] = search.minimum;
        }
        writeScales(out, at, scales, minima);
        lines(out, at, steps, offsets);
        for (let i = 0; i < VALUES; i++) {
          const step = steps[i >> 5];
          if (step === 0) continue;
          const code = nearest(f(f(values[from + i] - offsets[i >> 5]) / step));
          codes[i] = code < 0 ? 0 : code > top ? top : code;
        }
        place(codes, out, at);
      };
    },
    lines,
    place,
  };
}

/** What is given to each value where nothing is known of its inputs. */
function byMagnitude(values: Float32Array, from: number, weights: Float32Array) {
  let squares = 0;
  for (let i = 0; i < PART; i++) squares = f(squares + f(values[from + i] * values[from + i]));
  const size = f(Math.sqrt(f(squares / PART)));
  for (let i = 0; i < PART; i++) weights[i] = size + Math.abs(values[from + i]);
}

/** d, dmin, and eight scales and minima as shares of the largest ones, in 6 bits. */
function writeScales(out: Uint8Array, at: number, scales: Float32Array, minima: Float32Array) {
  const largest = (of: Float32Array) => of.reduce((most, value) => value > most ? value : most, 0);
  const [most, mostMin] = [largest(scales), largest(minima)];
  const [inverse, inverseMin] = [most, mostMin].map((value) => value > 0 ? f(SIX_BITS / value) : 0);
  const view = viewOf(out);
  view.setFloat16(at, f(most / SIX_BITS), true);
  view.setFloat16(at + 2, f(mostMin / SIX_BITS), true);
  // A byte as C has it, whatever a search found.
  const sixBits = (value: number) => Math.min(SIX_BITS, nearest(f(value)) & 255);
  for (let s = 0; s < PARTS; s++) {
    const [scale, minimum] = [sixBits(inverse * scales[s]), sixBits(inverseMin * minima[s])];
    if (s < 4) {
      out[at + 4 + s] = scale;
      out[at + 8 + s] = minimum;
    } else {
      out[at + 8 + s] = scale & 15 | (minimum & 15) << 4;
      out[at + s] |= scale >> 4 << 6;
      out[at + 4 + s] |= minimum >> 4 << 6;
    }
  }
}

function placeQ4(codes: Uint8Array, out: Uint8Array, at: number) {
  placeNibbles(codes, out, at + 16);
}

function placeQ5(codes: Uint8Array, out: Uint8Array, at: number) {
  for (let i = 0; i < PART; i++) {
    let high = 0;
    for (let s = 0; s < PARTS; s++) high |= codes[PART * s + i] >> 4 << s;
    out[at + 16 + i] = high;
  }
  placeNibbles(codes, out, at + 48);
}

/** 32 bytes have 32 values in their lower halves and the next 32 in their upper ones. */
function placeNibbles(codes: Uint8Array, out: Uint8Array, at: number) {
  for (let i = 0; i < VALUES / 2; i++) {
    const low = 2 * i - i % PART;
    out[at + i] = codes[low] & 15 | codes[low + PART] << 4;
  }
}

export const Q4_K = affine(4, { first: -1, step: 0.1, tries: 20 });
export const Q5_K = affine(5, { first: -0.5, step: 0.1, tries: 15 });

/** 128 bytes of nibbles, 64 of upper bit pairs, 16 signed scales, d: d · s · (code − 32). */
export const Q6_K: BlockGrid = {
  values: VALUES,
  bytes: 210,
  part: Q6_PART,
  codes: 64,
  encoder: () => {
    const codes = new Uint8Array(VALUES);
    const scales = new Float32Array(Q6_PARTS);
    return (values, from, out, at, weights) => {
      const view = viewOf(out);
      let largest = 0;
      for (let s = 0; s < Q6_PARTS; s++) {
        const part = Q6_PART * s;
        const found = codes.subarray(part, part + Q6_PART);
        const own = weights?.subarray(part, part + Q6_PART);
        const group = { count: Q6_PART, half: 32, weights: own };
        scales[s] = symmetricScale(values, from + part, group, found);
        if (Math.abs(scales[s]) > Math.abs(largest)) largest = scales[s];
      }
      if (Math.abs(largest) < NOTHING) {
        out.fill(0, at, at + 210);
        return;
      }
      const inverse = f(-128 / largest);
      view.setFloat16(at + 208, f(1 / inverse), true);
      const d = view.getFloat16(at + 208, true);
      for (let s = 0; s < Q6_PARTS; s++) {
        view.setInt8(at + 192 + s, Math.min(127, nearest(f(inverse * scales[s]))));
        const step = f(d * view.getInt8(at + 192 + s));
        if (step === 0) continue;
        for (let i = Q6_PART * s; i < Q6_PART * (s + 1); i++) {
          const code = nearest(f(values[from + i] / step));
          codes[i] = 32 + (code < -32 ? -32 : code > 31 ? 31 : code);
        }
      }
      placeQ6(codes, out, at);
    };
  },
  lines: (block, at, steps, offsets) => {
    const view = viewOf(block);
    const d = view.getFloat16(at + 208, true);
    for (let s = 0; s < Q6_PARTS; s++) {
      steps[s] = d * view.getInt8(at + 192 + s);
      offsets[s] = -32 * steps[s];
    }
  },
  place: placeQ6,
};

function placeQ6(codes: Uint8Array, out: Uint8Array, at: number) {
  for (let half = 0; half < 2; half++) {
    const from = 128 * half;
    for (let i = 0; i < 64; i++) {
      out[at + 64 * half + i] = codes[from + i] & 15 | (codes[from + i + 64] & 15) << 4;
    }
    for (let i = 0; i < 32; i++) {
      let pairs = 0;
      for (let s = 0; s < 4; s++) pairs |= codes[from + 32 * s + i] >> 4 << 2 * s;
      out[at + 128 + 32 * half + i] = pairs;
    }
  }
}
