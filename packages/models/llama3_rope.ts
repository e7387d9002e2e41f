/**
 * How Llama 3.1 to 3.3 scale rotary frequencies; only these numbers were used, with factors 8 and
 * 32.
 */
export const LLAMA3 = { low: 1, high: 4, positions: 8192 } as const;

/**
 * What Llama 3's scaling divides frequency `i` of a head by (transformers,
 * `_compute_llama3_parameters`).
 * @param headDim channels of a head, twice as many as it has frequencies.
 */
export function llama3Divisor(theta: number, headDim: number, i: number, factor: number): number {
  const { low, high, positions } = LLAMA3;
  const turns = positions * theta ** (-2 * i / headDim) / (2 * Math.PI);
  const smooth = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return 1 / ((1 - smooth) / factor + smooth);
}

/** What a config.json says of that scaling. */
export function llama3Parameters(theta: number, factor: number): Record<string, unknown> {
  return {
    rope_type: "llama3",
    rope_theta: theta,
    factor,
    low_freq_factor: LLAMA3.low,
    high_freq_factor: LLAMA3.high,
    original_max_position_embeddings: LLAMA3.positions,
  };
}
