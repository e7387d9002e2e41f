/**
 * What norms compute of x along the last axis, with gain g and bias b where they have those: "rms"
 * is x / √(mean(x²) + ε) · g (arXiv 1910.07467, equation 4), "layer" is
 * (x − mean(x)) / √(var(x) + ε) · g + b (arXiv 1607.06450). "rms1p" and "layer1p" have weights w
 * whose gain is 1 + w.
 */
export type NormKind = "rms" | "rms1p" | "layer" | "layer1p";

/** How all norms of a model compute. */
export interface Norm {
  readonly kind: NormKind;
  /** ε, which is added before the root. */
  readonly eps: number;
}
