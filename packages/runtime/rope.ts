import type { RopeSpec } from "@lopper/core";

export interface RopeTable {
  /** Positions covered. */
  readonly positions: number;
  /** `[positions, headDim / 2]`, row-major. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * Cosines and sines of the rotary embedding (RoFormer, arXiv 2104.09864, equation 15). Frequencies and angles are rounded
 * to float32 step by step as transformers does, so that long positions rotate by the same angle there and here.
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

/** Angle per position of each channel pair, scaled as the config asks; radians per token. */
export function ropeFrequencies({ theta, scaling }: RopeSpec, headDim: number): Float32Array {
  const frequencies = Float32Array.from(
    { length: headDim / 2 },
    (_, i) => 1 / Math.fround(theta ** Math.fround(2 * i / headDim)),
  );
  if (!scaling) return frequencies;
  if (scaling.type === "linear") return frequencies.map((f) => f / scaling.factor);

  // Llama 3.1: long wavelengths are stretched, short ones kept, those between blended.
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalMaxPositions } = scaling;
  return frequencies.map((f) => {
    const wavelength = 2 * Math.PI / f;
    if (wavelength < originalMaxPositions / highFrequencyFactor) return f;
    if (wavelength > originalMaxPositions / lowFrequencyFactor) return f / factor;
    const smooth = (originalMaxPositions / wavelength - lowFrequencyFactor) /
      (highFrequencyFactor - lowFrequencyFactor);
    return (1 - smooth) * f / factor + smooth * f;
  });
}
