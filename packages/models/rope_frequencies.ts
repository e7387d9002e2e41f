import type { Rope } from "@lopper/core";

/**
 * Angle per position of each rotated pair of channels, scaled as the config asks; radians per
 * token. Rounded to float32 step by step as transformers does.
 */
export function ropeFrequencies(
  { theta, scaling, channels }: Rope,
  headDim: number,
): Float32Array {
  const rotated = channels ?? headDim;
  const frequencies = Float32Array.from(
    { length: rotated / 2 },
    (_, i) => 1 / Math.fround(theta ** Math.fround(2 * i / rotated)),
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
