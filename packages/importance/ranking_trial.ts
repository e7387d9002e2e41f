import { isSignificantFall, mean, type Shape } from "@lopper/core";

/**
 * The ranking with the lowest mean NLL among those that are significantly better than the first: by
 * two standard errors of the paired differences, sequence by sequence. Without such a one, or with
 * a single sequence, the first.
 */
export function chooseRanking<Name extends string>(
  tried: readonly { readonly ranking: Name; readonly nll: readonly number[] }[],
): Name {
  const [first, ...others] = tried;
  let best: { ranking: Name; nll: number } = { ranking: first.ranking, nll: mean(first.nll) };
  for (const { ranking, nll } of others) {
    const value = mean(nll);
    if (!Number.isFinite(value) || nll.length < 2) continue;
    if (Number.isFinite(best.nll) && value >= best.nll) continue;
    if (isSignificantFall(first.nll, nll)) best = { ranking, nll: value };
  }
  return best.ranking;
}

/**
 * At most this share of the units goes in a trial cut: beyond it, every ranking ruins the model.
 */
const MAX_CUT = 0.5;

/**
 * What a cut leaves that takes a share of the units of one dimension, the same everywhere: at least
 * one unit in all, and in no block the last one.
 * @param share of the units that are there; half of them at most are taken.
 */
export function trialCut(shape: Shape, dimension: string, share: number): Shape {
  const counts = shape.map((size) => size?.[dimension] ?? 0);
  const all = counts.reduce((a, b) => a + b, 0);
  const taken = Math.max(1 / all, Math.min(MAX_CUT, share));
  let passed = 0, gone = 0;
  return shape.map((size, i) => {
    if (counts[i] === 0) return size;
    passed += counts[i];
    const less = Math.min(counts[i] - 1, Math.round(taken * passed) - gone);
    gone += less;
    return { ...size, [dimension]: counts[i] - less };
  });
}
