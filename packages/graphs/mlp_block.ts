import { GraphBuilder } from "./graph_builder.ts";
import { linear, linearTransposed, rmsNorm } from "./layers.ts";

export interface MlpBlockOptions {
  readonly hiddenSize: number;
  readonly eps: number;
  readonly bias: boolean;
}

/**
 * h + down(silu(gate(norm(h))) · up(norm(h))) as an ONNX graph (SwiGLU, arXiv 2002.05202, equation 6).
 *
 * Feeds, float32: `hidden [N, H]`, `norm [H]`, `gate [I, H]`, `up [I, H]`, `down [I, H]` (transposed, so that the first
 * rows of the three are a narrower block), optional `gate_bias [I]`, `up_bias [I]`, `down_bias [H]`. Fetch: `out [N, H]`.
 */
export function mlpBlock({ hiddenSize, eps, bias }: MlpBlockOptions): Uint8Array {
  const g = new GraphBuilder("mlp_block");
  const hidden = g.input("hidden", "float32", ["N", hiddenSize]);
  const norm = g.input("norm", "float32", [hiddenSize]);
  const [gate, up, down] = ["gate", "up", "down"].map((name) =>
    g.input(name, "float32", ["I", hiddenSize])
  );
  const optional = (name: string, dim: number | string) =>
    bias ? g.input(name, "float32", [dim]) : undefined;

  const normed = rmsNorm(g, hidden, norm, eps);
  const gated = linear(g, normed, gate, optional("gate_bias", "I"));
  const raised = linear(g, normed, up, optional("up_bias", "I"));
  const silu = g.node("Mul", [gated, g.node("Sigmoid", [gated])]);
  const product = g.node("Mul", [silu, raised]);
  const lowered = linearTransposed(g, product, down, optional("down_bias", hiddenSize));
  g.output("out", g.node("Add", [hidden, lowered]), "float32", ["N", hiddenSize]);
  return g.encode();
}
