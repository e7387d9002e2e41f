import type { Dimension, GraphBuilder } from "./graph_builder.ts";

/**
 * What a block's graph captures, beside its output, of what enters its last projection, down or o.
 */
export type Capture = "energy" | "values";

/**
 * Declares the output with what is captured of `captured [N, size]`: `energy [size]`, the sums of
 * the squares over all rows, or `captured [N, size]` itself.
 */
export function captureOutput(
  g: GraphBuilder,
  what: Capture,
  captured: string,
  size: Dimension,
) {
  if (what === "values") {
    g.output("captured", captured, "float32", ["N", size]);
    return;
  }
  const squares = g.node("ReduceSumSquare", [captured, g.int64([0])], { keepdims: 0 });
  g.output("energy", squares, "float32", [size]);
}

/**
 * RMS norm over the last axis, x / sqrt(mean(x²) + eps) · weight (arXiv 1910.07467, equation 4).
 * onnxruntime registers its fused kernel under the default domain.
 */
export function rmsNorm(g: GraphBuilder, x: string, weight: string, eps: number): string {
  return g.node("SimplifiedLayerNormalization", [x, weight], {
    axis: -1,
    epsilon: { float: eps },
    stash_type: 1,
  });
}

/** x · sigmoid(x) (arXiv 1702.03118, equation 5). */
export function silu(g: GraphBuilder, x: string): string {
  return g.node("Mul", [x, g.node("Sigmoid", [x])]);
}

/** x · Wᵀ (+ bias) for a weight in the Hugging Face layout `[out, in]`; x is `[N, in]`. */
export function linear(g: GraphBuilder, x: string, weight: string, bias?: string): string {
  return g.node("Gemm", bias ? [x, weight, bias] : [x, weight], { transB: 1 });
}

/**
 * x · W (+ bias) for a transposed weight `[in, out]`, whose leading rows are a narrower layer; x is
 * `[N, in]`.
 */
export function linearTransposed(
  g: GraphBuilder,
  x: string,
  weight: string,
  bias?: string,
): string {
  return g.node("Gemm", bias ? [x, weight, bias] : [x, weight]);
}
