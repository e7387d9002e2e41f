import { ExportError } from "@lopper/core";
import type { LogitDifference } from "./compare_logits.ts";
import type { ExportPrecision, GgufPrecision } from "./export.ts";

/**
 * How far logits may be from the source's. What rounding does to sums, and float16 to weights of
 * well-trained models, stays below; quantisation has no such bound, and is measured only.
 */
export const LOGIT_TOLERANCE = { fp32: 1e-3, fp16: 2e-2 } as const;

/** The largest difference that is allowed of a precision; null for any. */
export function toleranceOf(precision: ExportPrecision | GgufPrecision): number | null {
  return precision === "fp32" || precision === "fp16" ? LOGIT_TOLERANCE[precision] : null;
}

/**
 * @throws {ExportError} with both figures when the difference is above the tolerance, or is not a
 *   number.
 */
export function checkDifference(
  { maxAbs, meanKl, positions }: LogitDifference,
  tolerance: number | null,
) {
  if (maxAbs <= (tolerance ?? Infinity)) return;
  throw new ExportError(
    `the export does not compute what its source computes: over ${positions} tokens logits differ by up to ` +
      `${maxAbs.toExponential(1)}, KL divergence ${
        meanKl.toExponential(1)
      }, and ${tolerance} is allowed ` +
      `(--verify none writes it all the same)`,
  );
}
