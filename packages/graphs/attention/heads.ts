import type { AttendedHeads } from "../block_scope.ts";
import type { GraphBuilder } from "../graph_builder.ts";

/**
 * Attention by operators that leave the rotary embedding and the order of the axes to the graph.
 */
export interface AttentionByHead {
  /** int64 [4]: sequences, tokens, -1 for the heads, channels of a head. */
  readonly shape: string;
  /** The rotary embedding of `[B, heads, T, D]`. */
  readonly rotate: (x: string) => string;
  /** Of q `[B, heads, T, D]`, k and v `[B, KV, T, D]`: `[B, heads, T, D]`. */
  readonly attend: (q: string, k: string, v: string) => string;
}

/** From q `[N, Q]`, k and v `[N, K]` to the context `[N, Q]`. */
export function attendByHead(
  g: GraphBuilder,
  { shape, rotate, attend }: AttentionByHead,
  { q, k, v, behindRotation = (x) => x }: Pick<AttendedHeads, "q" | "k" | "v" | "behindRotation">,
): string {
  const swap = (x: string) => g.node("Transpose", [x], { perm: [0, 2, 1, 3] });
  const heads = (x: string) => swap(g.node("Reshape", [x, shape]));
  const queries = behindRotation(rotate(heads(q)), "q");
  const context = attend(queries, behindRotation(rotate(heads(k)), "k"), heads(v));
  return g.node("Reshape", [swap(context), g.node("Shape", [q])]);
}
