import { type Feeds, float32 } from "@lopper/backends";
import type { Rope } from "@lopper/core";
import { ropeFrequencies } from "@lopper/models";

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
 */
export function ropeTable(rope: Rope, headDim: number, positions: number): RopeTable {
  const frequencies = ropeFrequencies(rope, headDim);
  const half = frequencies.length;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(p * frequencies[i]);
      cos[p * half + i] = Math.cos(angle);
      sin[p * half + i] = Math.sin(angle);
    }
  }
  return { positions, cos, sin };
}

/**
 * A rotary table of a model as graphs are fed it, which grows with the positions that are asked
 * for.
 */
export class RotaryFeeds {
  readonly #rope: Rope;
  readonly #headDim: number;
  #table: RopeTable;

  constructor(rope: Rope, headDim: number) {
    this.#rope = rope;
    this.#headDim = headDim;
    this.#table = ropeTable(rope, headDim, 0);
  }

  /** `cos` and `sin` of `positions` positions at least. */
  of(positions: number): Feeds {
    if (this.#table.positions < positions) {
      // Growing in powers of two keeps generation from building a table for every token.
      const size = 2 ** Math.ceil(Math.log2(positions));
      this.#table = ropeTable(this.#rope, this.#headDim, size);
    }
    const { cos, sin, positions: rows } = this.#table;
    const shape = [rows, cos.length / rows];
    return { cos: float32(cos, shape), sin: float32(sin, shape) };
  }
}
