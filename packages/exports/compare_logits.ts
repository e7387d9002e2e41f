/** How far one model's logits are from another's over the same tokens. */
export interface LogitDifference {
  /** Largest absolute difference of two logits. */
  readonly maxAbs: number;
  /** Mean over the positions of KL(reference ‖ other), in nats. */
  readonly meanKl: number;
  /** Share of positions at which both have the same most likely token. */
  readonly sameTop: number;
  readonly positions: number;
}

/**
 * Compares logits `[positions, vocabSize]`. A value that is not a number makes both differences
 * NaN.
 * @throws {RangeError} when the lengths differ, or are not whole rows.
 */
export function compareLogits(
  reference: Float32Array,
  other: Float32Array,
  vocabSize: number,
): LogitDifference {
  const positions = reference.length / vocabSize;
  if (reference.length !== other.length || !Number.isInteger(positions) || positions === 0) {
    throw new RangeError(
      `${reference.length} and ${other.length} logits are not the same rows of ${vocabSize}`,
    );
  }
  let maxAbs = 0, kl = 0, same = 0;
  for (let p = 0; p < positions; p++) {
    const a = reference.subarray(p * vocabSize, (p + 1) * vocabSize);
    const b = other.subarray(p * vocabSize, (p + 1) * vocabSize);
    const [za, zb] = [logSumExp(a), logSumExp(b)];
    let divergence = 0;
    for (let i = 0; i < vocabSize; i++) {
      // Math.max hands a NaN on.
      maxAbs = Math.max(maxAbs, Math.abs(a[i] - b[i]));
      divergence += Math.exp(a[i] - za) * (a[i] - za - (b[i] - zb));
    }
    kl += divergence;
    if (argmax(a) === argmax(b)) same += 1;
  }
  return { maxAbs, meanKl: kl / positions, sameTop: same / positions, positions };
}

function logSumExp(values: Float32Array): number {
  let max = -Infinity, sum = 0;
  for (const value of values) max = Math.max(max, value);
  for (const value of values) sum += Math.exp(value - max);
  return max + Math.log(sum);
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
