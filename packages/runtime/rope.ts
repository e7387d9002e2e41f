import { type Feeds, float32 } from "@lopper/backends";
import type { Rope } from "@lopper/core";
import { isLong, ropeFactor, ropeFrequencies } from "@lopper/models";

export interface RopeTable {
  /** Positions covered. */
  readonly positions: number;
  /** `[positions, pairs]`, row-major. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * Cosines and sines of the rotary embedding (RoFormer, arXiv 2104.09864, equation 15). Angles are
 * rounded to float32 as transformers does, so that long positions rotate by the same angle there
 * and here.
 * @param length tokens of the text, as many as there are positions unless said.
 */
export function ropeTable(
  rope: Rope,
  headDim: number,
  positions: number,
  length = positions,
): RopeTable {
  const frequencies = ropeFrequencies(rope, headDim, length);
  const factor = ropeFactor(rope);
  const half = frequencies.length;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(p * frequencies[i]);
      cos[p * half + i] = Math.fround(Math.cos(angle)) * factor;
      sin[p * half + i] = Math.fround(Math.sin(angle)) * factor;
    }
  }
  return { positions, cos, sin };
}

/**
 * A rotary table of a model as graphs are fed it, which grows with the positions that are asked
 * for. LongRoPE has two of them, and the length of the text picks one, as it does in transformers:
 * a text that grows over the original length while it is generated goes on with the second, and the
 * keys that are in the cache by then stay as they were turned. (llama.cpp picks by the size of the
 * context, once.)
 */
export class RotaryFeeds {
  readonly #rope: Rope;
  readonly #headDim: number;
  readonly #tables = new Map<boolean, RopeTable>();

  constructor(rope: Rope, headDim: number) {
    this.#rope = rope;
    this.#headDim = headDim;
  }

  /**
   * `cos` and `sin` of `positions` positions at least.
   * @param length tokens of the text.
   */
  of(positions: number, length = positions): { readonly cos: Feeds[string]; sin: Feeds[string] } {
    const { scaling } = this.#rope;
    const long = scaling?.type === "longrope" && isLong(scaling, length);
    let table = this.#tables.get(long);
    if (!table || table.positions < positions) {
      // Growing in powers of two keeps generation from building a table for every token.
      const size = 2 ** Math.ceil(Math.log2(positions));
      table = ropeTable(this.#rope, this.#headDim, size, length);
      this.#tables.set(long, table);
    }
    const { cos, sin, positions: rows } = table;
    const shape = [rows, cos.length / rows];
    return { cos: float32(cos, shape), sin: float32(sin, shape) };
  }
}
