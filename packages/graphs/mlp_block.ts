import { GraphBuilder } from "./graph_builder.ts";
import {
  type InnerOutput,
  innerOutput,
  linear,
  linearTransposed,
  rmsNorm,
  silu,
} from "./layers.ts";

export interface MlpBlockOptions {
  readonly hiddenSize: number;
  readonly eps: number;
  readonly bias: boolean;
  /** What is told of the activation that enters `down`, `[N, I]`. */
  readonly inner?: InnerOutput;
}

/**
 * h + down(silu(gate(norm(h))) · up(norm(h))) as an ONNX graph (SwiGLU, arXiv 2002.05202, equation 6).
 *
 * Feeds, float32: `hidden [N, H]`, `norm [H]`, `gate [I, H]`, `up [I, H]`, `down [I, H]` (transposed, so that the first
 * rows of the three are a narrower block), optional `gate_bias [I]`, `up_bias [I]`, `down_bias [H]`. Fetches: `out [N, H]`, with
 * `inner` also `energy [I]` or `inner [N, I]`.
 */
export function mlpBlock({ hiddenSize, eps, bias, inner }: MlpBlockOptions): Uint8Array {
  const g = new GraphBuilder("mlp_block");
  const hidden = g.input("hidden", "float32", ["N", hiddenSize]);
  const norm = g.input("norm", "float32", [hiddenSize]);
  const [gate, up, down] = ["gate", "up", "down"].map((name) =>
    g.input(name, "float32", ["I", hiddenSize])
  );
  const optional = (name: string, dim: number | string) =>
    bias ? g.input(name, "float32", [dim]) : undefined;
  const weights = {
    norm,
    gate,
    up,
    down,
    gate_bias: optional("gate_bias", "I"),
    up_bias: optional("up_bias", "I"),
    down_bias: optional("down_bias", hiddenSize),
  };
  const { out, product } = mlpNodes(g, hidden, weights, eps);
  g.output("out", out, "float32", ["N", hiddenSize]);
  if (inner) innerOutput(g, inner, product, "I");
  return g.encode();
}

/** The block's weights by the names of its feeds, as values of a graph. */
export interface MlpWeights {
  readonly norm: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
  readonly gate_bias?: string;
  readonly up_bias?: string;
  readonly down_bias?: string;
}

/** Adds the block to a graph, `[N, H]` → `out [N, H]`; `product [N, I]` is what enters `down`. */
export function mlpNodes(
  g: GraphBuilder,
  hidden: string,
  w: MlpWeights,
  eps: number,
): { readonly out: string; readonly product: string } {
  const normed = rmsNorm(g, hidden, w.norm, eps);
  const gated = linear(g, normed, w.gate, w.gate_bias);
  const raised = linear(g, normed, w.up, w.up_bias);
  const product = g.node("Mul", [silu(g, gated), raised]);
  const lowered = linearTransposed(g, product, w.down, w.down_bias);
  return { out: g.node("Add", [hidden, lowered]), product };
}
