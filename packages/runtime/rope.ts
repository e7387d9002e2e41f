import type { RopeSpec } from "@lopper/core";
import { ropeFrequencies } from "@lopper/models";

export interface RopeTable {
  /** Positions covered. */
  readonly positions: number;
  /** `[positions, headDim / 2]`, row-major. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * Cosines and sines of the rotary embedding (RoFormer, arXiv 2104.09864, equation 15). Angles are rounded to float32
 * as transformers does, so that long positions rotate by the same angle there and here.
 */
export function ropeTable(rope: RopeSpec, headDim: number, positions: number): RopeTable {
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
