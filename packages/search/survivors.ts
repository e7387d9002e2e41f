import type { SequenceNll } from "./scores.ts";

/** Standard errors by which a candidate must be behind before it is dropped. */
const CONFIDENCE = 2;
/** A difference of the mean NLL, in nats per token, that is not worth scoring more sequences for: 0.05 % of perplexity. */
const INDIFFERENCE = 5e-4;

/** The halving spares so many. */
const LEAST = 4;

/** A paired comparison on the sequences that are known of both. */
export interface Comparison {
  /** Mean difference in nats per token, positive where the first is worse; NaN without a common sequence. */
  readonly behind: number;
  /** Sample variance of the difference; Infinity below two sequences. */
  readonly variance: number;
  readonly count: number;
}

export function compare(a: SequenceNll, b: SequenceNll): Comparison {
  const differences: number[] = [];
  a.forEach((value, s) => {
    if (value !== undefined && b[s] !== undefined) differences.push(value - b[s]);
  });
  const count = differences.length;
  const behind = differences.reduce((sum, d) => sum + d, 0) / count;
  const squares = differences.reduce((sum, d) => sum + (d - behind) ** 2, 0);
  return { behind, variance: count > 1 ? squares / (count - 1) : Infinity, count };
}

/** The candidate that no other is ahead of, in turn; the first of equal ones. */
export function leaderOf(indices: readonly number[], nll: (index: number) => SequenceNll): number {
  return indices.reduce((leader, i) => compare(nll(i), nll(leader)).behind < 0 ? i : leader);
}

/**
 * Those that may still turn out the best on all sequences: not behind the leader by more than chance explains, and of
 * these the better half, four at least.
 * @param nll what is known of candidate `index`, finite.
 * @param total sequences of the whole set: when all are known, nothing is left to chance.
 * @returns indices, the leader first.
 */
export function survivors(
  indices: readonly number[],
  nll: (index: number) => SequenceNll,
  total: number,
): number[] {
  const leader = leaderOf(indices, nll);
  const rivals = indices.filter((i) => i !== leader)
    .map((index) => ({ index, ...compare(nll(index), nll(leader)) }))
    .sort((a, b) => a.behind - b.behind || a.index - b.index)
    .slice(0, Math.max(LEAST, Math.ceil(indices.length / 2)) - 1);
  // On few sequences a variance is itself a guess: half of it is borrowed from the other pairs.
  const pooled = rivals.reduce((sum, { variance }) => sum + variance, 0) / rivals.length;
  const alive = rivals.filter(({ behind, variance, count }) => {
    const error = Math.sqrt((variance + pooled) / 2 / count * (1 - count / total));
    return behind < CONFIDENCE * error - INDIFFERENCE;
  });
  return [leader, ...alive.map(({ index }) => index)];
}
