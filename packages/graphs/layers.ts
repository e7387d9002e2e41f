import type { Activation, Norm } from "@lopper/core";
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

/** Weights of a norm as values of a graph, where it has them; `width` values each. */
export interface NormWeights {
  readonly width: number;
  readonly weight?: string;
  readonly bias?: string;
}

/**
 * A norm over the last axis (core, `NormKind`). onnxruntime registers its fused kernel of RMS norms
 * under the default domain.
 */
export function normed(
  g: GraphBuilder,
  x: string,
  { kind, eps }: Norm,
  { width, weight, bias }: NormWeights,
): string {
  const attributes = { axis: -1, epsilon: { float: eps }, stash_type: 1 };
  const gain = weight === undefined
    ? g.float32s(new Float32Array(width).fill(1), [width])
    : normGain(g, { kind }, weight);
  if (kind === "layer" || kind === "layer1p") {
    const inputs = bias === undefined ? [x, gain] : [x, gain, bias];
    return g.node("LayerNormalization", inputs, attributes);
  }
  const scaled = g.node("SimplifiedLayerNormalization", [x, gain], attributes);
  return bias === undefined ? scaled : g.node("Add", [scaled, bias]);
}

/** What a norm multiplies with, of its weight. */
export function normGain(g: GraphBuilder, { kind }: Pick<Norm, "kind">, weight: string): string {
  return kind === "rms1p" || kind === "layer1p" ? g.node("Add", [weight, g.float32(1)]) : weight;
}

/** What an MLP applies to each channel. */
export function activated(g: GraphBuilder, x: string, activation: Activation): string {
  switch (activation) {
    case "silu":
      return silu(g, x);
    case "gelu":
      return gelu(g, x);
    case "gelu_pytorch_tanh":
      return tanhGelu(g, x);
    case "relu":
      return g.node("Relu", [x]);
    case "relu2": {
      const raised = g.node("Relu", [x]);
      return g.node("Mul", [raised, raised]);
    }
  }
}

/** x · sigmoid(x) (arXiv 1702.03118, equation 5). */
function silu(g: GraphBuilder, x: string): string {
  return g.node("Mul", [x, g.node("Sigmoid", [x])]);
}

/** x · Φ(x), Φ the standard normal distribution's (arXiv 1606.08415, section 2). */
function gelu(g: GraphBuilder, x: string): string {
  const erf = g.node("Erf", [g.node("Mul", [x, g.float32(Math.SQRT1_2)])]);
  const twice = g.node("Mul", [x, g.node("Add", [erf, g.float32(1)])]);
  return g.node("Mul", [twice, g.float32(0.5)]);
}

/** Its approximation, x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))) (ibid.). */
function tanhGelu(g: GraphBuilder, x: string): string {
  const square = g.node("Mul", [x, x]);
  const factor = g.node("Add", [g.node("Mul", [square, g.float32(0.044715)]), g.float32(1)]);
  const inner = g.node("Mul", [g.node("Mul", [x, factor]), g.float32(Math.sqrt(2 / Math.PI))]);
  const twice = g.node("Mul", [x, g.node("Add", [g.node("Tanh", [inner]), g.float32(1)])]);
  return g.node("Mul", [twice, g.float32(0.5)]);
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
