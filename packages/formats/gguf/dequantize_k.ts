import { viewOf } from "./dequantize.ts";

/**
 * Quantised super-blocks of 256 values ("K-quants"), decoded to float32 bit for bit as llama.cpp's
 * reference does (ggml-quants.c, `dequantize_row_q?_K`). A super-block has half-precision scales of
 * its own and small integer scales for its sub-blocks of 16 or 32 values. dequantize.ts says why
 * doubles rounded once are exact enough.
 */

const BLOCK = 256;

/**
 * 16 bytes of scales and minima, 64 bytes of 2-bit quants, d, dmin: d·s·q − dmin·m in sub-blocks of
 * 16.
 */
export function dequantizeQ2K(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 84, o += BLOCK) {
    const d = view.getFloat16(at + 80, true);
    const dmin = view.getFloat16(at + 82, true);
    for (let i = 0; i < BLOCK; i++) {
      const scale = blocks[at + (i >> 4)];
      const q = twoBits(blocks, at + 16, i);
      out[o + i] = d * (scale & 15) * q - dmin * (scale >> 4);
    }
  }
}

/**
 * 32 bytes of third bits, 64 of 2-bit quants, 12 of 6-bit scales, d: d·(s − 32)·q in sub-blocks of
 * 16.
 */
export function dequantizeQ3K(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 110, o += BLOCK) {
    const d = view.getFloat16(at + 108, true);
    for (let s = 0; s < 16; s++) {
      const low = blocks[at + 96 + (s & 7)] >> (s < 8 ? 0 : 4) & 15;
      const high = blocks[at + 104 + (s & 3)] >> 2 * (s >> 2) & 3;
      const scale = d * ((low | high << 4) - 32);
      for (let i = 16 * s; i < 16 * (s + 1); i++) {
        // The third bit counts when it is not set.
        const lower = (blocks[at + (i & 31)] >> (i >> 5) & 1) ^ 1;
        out[o + i] = scale * (twoBits(blocks, at + 32, i) - (lower << 2));
      }
    }
  }
}

/**
 * d, dmin, 12 bytes of 6-bit scales and minima, 128 of nibbles: d·s·q − dmin·m in sub-blocks of 32.
 */
export function dequantizeQ4K(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 144, o += BLOCK) {
    const d = view.getFloat16(at, true);
    const dmin = view.getFloat16(at + 2, true);
    for (let s = 0; s < 8; s++) {
      const scale = d * sixBitScale(blocks, at + 4, s);
      const min = dmin * sixBitMinimum(blocks, at + 4, s);
      for (let i = 0; i < 32; i++) {
        const q = blocks[at + 16 + 32 * (s >> 1) + i] >> 4 * (s & 1) & 15;
        out[o + 32 * s + i] = scale * q - min;
      }
    }
  }
}

/** As Q4_K, with 32 bytes of fifth bits before the nibbles. */
export function dequantizeQ5K(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 176, o += BLOCK) {
    const d = view.getFloat16(at, true);
    const dmin = view.getFloat16(at + 2, true);
    for (let s = 0; s < 8; s++) {
      const scale = d * sixBitScale(blocks, at + 4, s);
      const min = dmin * sixBitMinimum(blocks, at + 4, s);
      for (let i = 0; i < 32; i++) {
        const low = blocks[at + 48 + 32 * (s >> 1) + i] >> 4 * (s & 1) & 15;
        const high = blocks[at + 16 + i] >> s & 1;
        out[o + 32 * s + i] = scale * (low | high << 4) - min;
      }
    }
  }
}

/**
 * 128 bytes of nibbles, 64 of upper bit pairs, 16 signed scales, d: d·s·(q − 32) in sub-blocks of
 * 16.
 */
export function dequantizeQ6K(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 210, o += BLOCK) {
    const d = view.getFloat16(at + 208, true);
    for (let s = 0; s < 16; s++) {
      const scale = d * view.getInt8(at + 192 + s);
      for (let i = 16 * s; i < 16 * (s + 1); i++) {
        const low = blocks[at + 64 * (i >> 7) + (i & 63)] >> 4 * (i >> 6 & 1) & 15;
        out[o + i] = scale * ((low | twoBits(blocks, at + 128, i) << 4) - 32);
      }
    }
  }
}

/**
 * The i-th of 256 two-bit values: bytes hold four values that are 32 apart, and 32 bytes hold 128
 * values.
 */
function twoBits(blocks: Uint8Array, at: number, i: number): number {
  return blocks[at + 32 * (i >> 7) + (i & 31)] >> 2 * (i >> 5 & 3) & 3;
}

/**
 * Eight scales and eight minima of 6 bits in 12 bytes: the upper bits of the last four lie above
 * the first four.
 */
export function sixBitScale(blocks: Uint8Array, at: number, s: number): number {
  return s < 4 ? blocks[at + s] & 63 : (blocks[at + 4 + s] & 15) | (blocks[at + s - 4] >> 2 & 0x30);
}

export function sixBitMinimum(blocks: Uint8Array, at: number, s: number): number {
  return s < 4 ? blocks[at + 4 + s] & 63 : (blocks[at + 4 + s] >> 4) | (blocks[at + s] >> 2 & 0x30);
}
