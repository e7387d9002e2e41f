/**
 * Mean NLL of each sequence, in nats per predicted token: position i predicts token i + 1, the last
 * predicts nothing, and positions whose label is `ignoredLabel` do not count.
 * @param nll `[sequences · length]`, the NLL of `nextTokens(sequences)`.
 */
export function sequenceMeans(
  nll: Float32Array,
  sequences: readonly (readonly number[])[],
  ignoredLabel: number | null,
): readonly number[] {
  return sequences.map((sequence, s) => {
    const start = s * sequence.length;
    let sum = 0, count = 0;
    for (let i = 0; i + 1 < sequence.length; i++) {
      if (sequence[i + 1] === ignoredLabel) continue;
      sum += nll[start + i];
      count += 1;
    }
    return sum / count;
  });
}

/**
 * The label of every position of the flattened sequences; the last position of each has none and
 * gets 0.
 */
export function nextTokens(sequences: readonly (readonly number[])[]): readonly number[] {
  return sequences.flatMap((sequence) => [...sequence.slice(1), 0]);
}

/** exp of the mean over sequences of their mean NLL. */
export function perplexity(means: readonly number[]): number {
  return Math.exp(means.reduce((sum, mean) => sum + mean, 0) / means.length);
}
