/**
 * Quantised blocks of 32 values, decoded to float32 bit for bit as llama.cpp's reference does
 * (ggml-quants.c, `dequantize_row_*`). Every block begins with its scale `d`, and some with a
 * minimum `m`, in half precision; the sixteen bytes of nibbles hold the first half of the values in
 * their low bits, the second half in their high bits.
 *
 * Products of a scale and a quant have 25 significant bits at most, and sums 51: JavaScript's
 * doubles hold them without error, so that one rounding to float32 at the end gives what float32
 * arithmetic gives. The smallest step is 2⁻²⁴, far from float32's denormals, which an engine in
 * this process may have switched off; MXFP4, which has some, is copied as bits.
 */
import { MXFP4_CODES, mxfp4Bits } from "../mxfp4.ts";

const BLOCK = 32;
const HALF = 16;

/** d, 16 bytes of nibbles: d·(q − 8). */
export function dequantizeQ4_0(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 18, o += BLOCK) {
    const d = view.getFloat16(at, true);
    for (let i = 0; i < HALF; i++) {
      const q = blocks[at + 2 + i];
      out[o + i] = d * ((q & 15) - 8);
      out[o + HALF + i] = d * ((q >> 4) - 8);
    }
  }
}

/** d, m, 16 bytes of nibbles: d·q + m. */
export function dequantizeQ4_1(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 20, o += BLOCK) {
    const d = view.getFloat16(at, true);
    const m = view.getFloat16(at + 2, true);
    for (let i = 0; i < HALF; i++) {
      const q = blocks[at + 4 + i];
      out[o + i] = d * (q & 15) + m;
      out[o + HALF + i] = d * (q >> 4) + m;
    }
  }
}

/** d, 32 fifth bits, 16 bytes of nibbles: d·(q − 16). */
export function dequantizeQ5_0(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 22, o += BLOCK) {
    const d = view.getFloat16(at, true);
    const high = view.getUint32(at + 2, true);
    for (let i = 0; i < HALF; i++) {
      const q = blocks[at + 6 + i];
      out[o + i] = d * (((q & 15) | fifthBit(high, i)) - 16);
      out[o + HALF + i] = d * (((q >> 4) | fifthBit(high, HALF + i)) - 16);
    }
  }
}

/** d, m, 32 fifth bits, 16 bytes of nibbles: d·q + m. */
export function dequantizeQ5_1(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 24, o += BLOCK) {
    const d = view.getFloat16(at, true);
    const m = view.getFloat16(at + 2, true);
    const high = view.getUint32(at + 4, true);
    for (let i = 0; i < HALF; i++) {
      const q = blocks[at + 8 + i];
      out[o + i] = d * ((q & 15) | fifthBit(high, i)) + m;
      out[o + HALF + i] = d * ((q >> 4) | fifthBit(high, HALF + i)) + m;
    }
  }
}

/** d, 32 signed bytes: d·q. */
export function dequantizeQ8_0(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 34, o += BLOCK) {
    const d = view.getFloat16(at, true);
    for (let i = 0; i < BLOCK; i++) out[o + i] = d * view.getInt8(at + 2 + i);
  }
}

/** What the nibbles of IQ4_NL stand for (ggml-common.h, `kvalues_iq4nl`). */
const IQ4_NL_LEVELS = Int8Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
);

/** d, 16 bytes of nibbles: d·level[q]. */
export function dequantizeIQ4NL(blocks: Uint8Array, out: Float32Array) {
  const view = viewOf(blocks);
  for (let at = 0, o = 0; o < out.length; at += 18, o += BLOCK) {
    const d = view.getFloat16(at, true);
    for (let i = 0; i < HALF; i++) {
      const q = blocks[at + 2 + i];
      out[o + i] = d * IQ4_NL_LEVELS[q & 15];
      out[o + HALF + i] = d * IQ4_NL_LEVELS[q >> 4];
    }
  }
}

/** Without negative zeros, of which the gguf package gives none. */
const MXFP4_BITS = mxfp4Bits().map((bits) => bits === 0x80000000 ? 0 : bits);

/** e, 16 bytes of nibbles: 2^(e − 127)·level[q]. */
export function dequantizeMXFP4(blocks: Uint8Array, out: Float32Array) {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let at = 0, o = 0; o < bits.length; at += 17, o += BLOCK) {
    const row = MXFP4_CODES * blocks[at];
    for (let i = 0; i < HALF; i++) {
      const q = blocks[at + 1 + i];
      bits[o + i] = MXFP4_BITS[row + (q & 15)];
      bits[o + HALF + i] = MXFP4_BITS[row + (q >> 4)];
    }
  }
}

function fifthBit(bits: number, i: number): number {
  return ((bits >>> i) & 1) << 4;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
