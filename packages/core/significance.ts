import { mean } from "./averages.ts";

/** Standard errors by which something has to be better than what it replaces. */
const SIGNIFICANT_ERRORS = 2;

/**
 * Whether a loss has fallen significantly: by more than two standard errors of the paired
 * differences, sequence by sequence. A loss that is no number is worse than any that is one; a
 * single sequence says nothing.
 * @param before mean NLL of each sequence, in nats per token.
 * @param after the same of the same sequences.
 */
export function isSignificantFall(before: readonly number[], after: readonly number[]): boolean {
  if (after.length < 2 || !Number.isFinite(mean(after))) return false;
  if (!Number.isFinite(mean(before))) return true;
  const gains = after.map((x, i) => before[i] - x);
  const gain = mean(gains);
  const variance = gains.reduce((sum, g) => sum + (g - gain) ** 2, 0) / (gains.length - 1);
  return gain > SIGNIFICANT_ERRORS * Math.sqrt(variance / gains.length);
}
