import { eliminate } from "@lopper/algebra";
import type { MomentRule } from "./rule.ts";

/**
 * Ridges as shares of the mean diagonal: Týr's 0.01, as in the refit that may follow, and greater
 * ones for moments of which float32 keeps too few digits.
 */
const RIDGES = [0.01, 0.1, 1] as const;

/**
 * A unit is worth what the output of its block loses for good without it: the reverse of the
 * ranking in which they go when, one after the other, the unit goes whose loss the best linear fit
 * of the others leaves the least error (`eliminate`; OSSCAR, arXiv 2403.12983). What an earlier
 * block would lose is not made up for.
 */
export const compensated = {
  name: "compensated",
  goesBy: "what the others cannot make up for (with --recover auto)",
  needs: "secondMoments",
  isTried: false,
  async places(products, { gram, columns, width, onProgress }) {
    const n = gram.rows;
    let trace = 0;
    for (let c = 0; c < n; c++) trace += gram.data[c * n + c];
    // Nothing enters the projection, and no ranking is better than another.
    if (trace === 0) return Array.from({ length: n / width }, (_, place) => place);
    for (const share of RIDGES) {
      const found = await eliminate(products, gram, columns, {
        lambda: share * trace / n,
        width,
        onProgress: (gone, units) => onProgress(gone / units),
      });
      if (found) return found.removed.toReversed();
    }
    return null;
  },
} as const satisfies MomentRule;
