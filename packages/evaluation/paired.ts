import { studentQuantile95 } from "./student.ts";

/** An estimate and its 95 % confidence interval, which a single question does not have. */
export interface Estimate {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * How much more the other model achieves on the same questions: the mean of the differences,
 * question by question, and its interval, mean ± t · s / √n with Student's t of n − 1 degrees of
 * freedom: texts have few windows. Pairing leaves out how hard the questions are, so the interval
 * is narrower than those of the two scores.
 * @throws {RangeError} unless there is one outcome of both for every question.
 */
export function pairedDifference(first: readonly number[], other: readonly number[]): Estimate {
  const n = first.length;
  if (n === 0 || other.length !== n) {
    throw new RangeError(`${n} and ${other.length} outcomes are not those of the same questions`);
  }
  const differences = other.map((value, i) => value - first[i]);
  const value = differences.reduce((sum, d) => sum + d, 0) / n;
  if (n === 1) return { value, low: null, high: null };
  const squares = differences.reduce((sum, d) => sum + (d - value) ** 2, 0);
  const margin = studentQuantile95(n - 1) * Math.sqrt(squares / (n - 1) / n);
  return { value, low: value - margin, high: value + margin };
}

/**
 * The other perplexity over the first, exp of the paired difference of negative log-likelihoods in
 * nats.
 * @throws {RangeError} as `pairedDifference`.
 */
export function perplexityRatio(first: readonly number[], other: readonly number[]): Estimate {
  const { value, low, high } = pairedDifference(first, other);
  const exp = (x: number | null) => x === null ? null : Math.exp(x);
  return { value: Math.exp(value), low: exp(low), high: exp(high) };
}
