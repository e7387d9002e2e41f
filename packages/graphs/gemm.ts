import { GraphBuilder } from "./graph_builder.ts";

export interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** A third feed `c`, of the shape of the product, is added. */
  readonly add?: boolean;
}

/**
 * op(A) · op(B) (+ C) as an ONNX graph. Feeds, float32: `a`, `b`, with `add` `c`. Fetch: `out [M,
 * N]`.
 */
export function gemm({ transA = false, transB = false, add = false }: GemmOptions): Uint8Array {
  const g = new GraphBuilder("gemm");
  const a = g.input("a", "float32", transA ? ["K", "M"] : ["M", "K"]);
  const b = g.input("b", "float32", transB ? ["N", "K"] : ["K", "N"]);
  const inputs = add ? [a, b, g.input("c", "float32", ["M", "N"])] : [a, b];
  const attributes = { transA: Number(transA), transB: Number(transB) };
  g.output("out", g.node("Gemm", inputs, attributes), "float32", ["M", "N"]);
  g.independent("M");
  return g.encode();
}
