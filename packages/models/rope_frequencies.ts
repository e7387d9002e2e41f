import type { LongRopeScaling, Rope, YarnScaling } from "@lopper/core";

const { fround, log, PI } = Math;

/**
 * Angle per position of each rotated pair of channels, scaled as the config asks; radians per
 * token. Rounded to float32 step by step as transformers does.
 * @param length tokens of the text: LongRoPE turns all of them by other angles where it is longer
 *   than the original one.
 */
export function ropeFrequencies(
  { theta, scaling, channels }: Rope,
  headDim: number,
  length = 0,
): Float32Array {
  const rotated = channels ?? headDim;
  const wavelengths = Float32Array.from(
    { length: rotated / 2 },
    (_, i) => theta ** fround(2 * i / rotated),
  );
  const frequencies = wavelengths.map((w) => 1 / w);
  switch (scaling?.type) {
    case undefined:
      return frequencies;
    case "linear":
      return frequencies.map((f) => f / scaling.factor);
    case "llama3": {
      // Llama 3.1: long wavelengths are stretched, short ones kept, those between blended.
      const { factor, lowFrequencyFactor, highFrequencyFactor, originalMaxPositions } = scaling;
      return frequencies.map((f) => {
        const wavelength = 2 * PI / f;
        if (wavelength < originalMaxPositions / highFrequencyFactor) return f;
        if (wavelength > originalMaxPositions / lowFrequencyFactor) return f / factor;
        const smooth = (originalMaxPositions / wavelength - lowFrequencyFactor) /
          (highFrequencyFactor - lowFrequencyFactor);
        return (1 - smooth) * f / factor + smooth * f;
      });
    }
    case "yarn":
      return yarnFrequencies(scaling, wavelengths, theta);
    case "longrope": {
      const divisors = isLong(scaling, length) ? scaling.longFactors : scaling.shortFactors;
      return wavelengths.map((w, i) => 1 / fround(fround(divisors[i]) * w));
    }
  }
}

/** What cosines and sines of a rotary embedding are multiplied with. */
export function ropeFactor({ scaling }: Rope): number {
  return scaling && "attentionFactor" in scaling ? scaling.attentionFactor : 1;
}

/** Whether a text is longer than those that LongRoPE turns by its first angles. */
export function isLong(
  { originalMaxPositions }: Pick<LongRopeScaling, "originalMaxPositions">,
  length: number,
): boolean {
  return length > originalMaxPositions;
}

/** @param wavelengths of each pair, in radians: the turns of pair i within a text fall with i. */
function yarnFrequencies(
  { factor, betaFast, betaSlow, truncate, originalMaxPositions }: YarnScaling,
  wavelengths: Float32Array,
  theta: number,
): Float32Array {
  const rotated = 2 * wavelengths.length;
  const pairOf = (turns: number) =>
    rotated * log(originalMaxPositions / (turns * 2 * PI)) / (2 * log(theta));
  const [first, last] = [pairOf(betaFast), pairOf(betaSlow)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, rotated - 1);
  const width = low === high ? 0.001 : high - low;
  return wavelengths.map((w, i) => {
    const ramp = Math.min(1, Math.max(0, fround(fround(i - low) / fround(width))));
    const kept = fround(1 - ramp);
    const stretched = fround(1 / fround(factor * w));
    return fround(stretched * fround(1 - kept)) + fround(fround(1 / w) * kept);
  });
}
