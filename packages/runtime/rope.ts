import { type Feeds, float32 } from "@lopper/backends";
import type { Architecture, Rope } from "@lopper/core";
import { ropeFrequencies } from "@lopper/models";

export interface RopeTable {
  /** Positions covered. */
  readonly positions: number;
  /** `[positions, headDim / 2]`, row-major. */
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
  const half = headDim / 2;
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
 * The rotary table of a model as graphs are fed it, which grows with the positions that are asked
 * for.
 */
export class RotaryFeeds {
  readonly #architecture: Pick<Architecture, "rope" | "headDim">;
  #table: RopeTable;

  constructor(architecture: Pick<Architecture, "rope" | "headDim">) {
    this.#architecture = architecture;
    this.#table = ropeTable(architecture.rope, architecture.headDim, 0);
  }

  /** `cos` and `sin` of `positions` positions at least. */
  of(positions: number): Feeds {
    const { rope, headDim } = this.#architecture;
    if (this.#table.positions < positions) {
      // Growing in powers of two keeps generation from building a table for every token.
      const size = 2 ** Math.ceil(Math.log2(positions));
      this.#table = ropeTable(rope, headDim, size);
    }
    const { cos, sin, positions: rows } = this.#table;
    const shape = [rows, headDim / 2];
    return { cos: float32(cos, shape), sin: float32(sin, shape) };
  }
}
