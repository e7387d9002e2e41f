import { commonDivisor } from "@lopper/core";
import { type BatchOptions, type Sequences, shuffled, tokenCount } from "@lopper/importance";

/** The first round of a race is this share of the sequences. */
export const FIRST_ROUND = 1 / 8;

/**
 * In what batches a race goes over its text: the sequences in an order drawn once, and never more
 * together than its first round has.
 * @param batchTokens tokens that may run together at most.
 */
export function raceBatches(
  set: Sequences,
  batchTokens: number,
  seed: number,
): Required<BatchOptions> {
  return {
    batchTokens: Math.min(batchTokens, Math.ceil(tokenCount(set) * FIRST_ROUND)),
    order: shuffled(set.sequences.length, seed),
  };
}

/**
 * The numbers below `n`, beginning somewhere else at every step, and everywhere once in `n` steps.
 */
export function rotated(n: number, step: number): number[] {
  // The golden section spreads the beginnings; a stride without a common divisor visits them all.
  let stride = Math.max(1, Math.round(n * 0.382));
  while (commonDivisor(stride, n) !== 1) stride += 1;
  return Array.from({ length: n }, (_, i) => (step * stride + i) % n);
}
