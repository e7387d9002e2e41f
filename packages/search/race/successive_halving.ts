import type { SequenceNll } from "../scores.ts";

/** Standard errors by which a candidate must be behind before it is dropped. */
const CONFIDENCE = 1.5;
/**
 * A difference of the mean NLL, in nats per token, that is not worth scoring more sequences for:
 * 0.05 % of perplexity.
 */
const INDIFFERENCE = 5e-4;

/** The halving spares so many. */
const MIN_SPARED = 4;

/** A paired comparison on the sequences that are known of both. */
export interface Comparison {
  /**
   * Mean difference in nats per token, positive where the first is worse; NaN without a common
   * sequence.
   */
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
 * Square of the standard error of a mean difference, over `total` sequences of which some were
 * compared: 0 where all were, as nothing is left to estimate then, and Infinity below two.
 */
export function squaredError({ variance, count }: Comparison, total: number): number {
  return count >= total ? 0 : variance / count * (1 - count / total);
}

/**
 * How far a candidate is behind another one, in nats per token, and the square of that figure's
 * standard error.
 */
export interface Standing {
  readonly behind: number;
  readonly squaredError: number;
}

/** Of candidates of which nothing but some of `total` sequences is known. */
export function paired(
  nll: (index: number) => SequenceNll,
  total: number,
): (index: number, leader: number) => Standing {
  return (index, leader) => {
    const compared = compare(nll(index), nll(leader));
    return { behind: compared.behind, squaredError: squaredError(compared, total) };
  };
}

/**
 * Those that may still turn out the best on all sequences: not behind the leader significantly, and
 * of these the better half, four at least.
 * @param standing of a candidate against the leader.
 * @returns indices, the leader first.
 */
export function successiveHalving(
  indices: readonly number[],
  leader: number,
  standing: (index: number, leader: number) => Standing,
): number[] {
  const rivals = indices.filter((i) => i !== leader)
    .map((index) => ({ index, ...standing(index, leader) }))
    .sort((a, b) => a.behind - b.behind || a.index - b.index)
    .slice(0, Math.max(MIN_SPARED, Math.ceil(indices.length / 2)) - 1);
  // On few sequences an error is itself a guess: half of it is borrowed from the other pairs.
  const pooled = rivals.reduce((sum, { squaredError }) => sum + squaredError, 0) / rivals.length;
  const alive = rivals.filter(({ behind, squaredError }) =>
    behind < CONFIDENCE * Math.sqrt((squaredError + pooled) / 2) - INDIFFERENCE
  );
  return [leader, ...alive.map(({ index }) => index)];
}
