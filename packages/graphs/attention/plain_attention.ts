import type { GraphBuilder } from "../graph_builder.ts";
import type { AttentionSizes } from "./masks.ts";

/** What attention blocks with the same sizes share. */
export interface PlainAttention {
  /**
   * Adds attention to `g`: q `[B, heads, T, D]`, k and v `[B, KV, S, D]` → `[B, heads, T,
   * D]`.
   */
  attend(g: GraphBuilder, q: string, k: string, v: string): string;
}

/**
 * Attention by MatMul and Softmax, which every engine has and computes alike, for any head size and
 * number of heads. All scores `[B, heads, T, S]` are in memory at once. `mask` is added to them,
 * `[T, S]` or `[B, 1, T, S]`.
 */
export function plainAttention(
  g: GraphBuilder,
  headDim: number,
  { batch, length, total }: AttentionSizes,
  mask: string,
): PlainAttention {
  const concat = (g: GraphBuilder, ...parts: string[]) => g.node("Concat", parts, { axis: 0 });
  const [rest, width] = [g.int64([-1]), g.int64([headDim])];
  const scale = g.float32(1 / Math.sqrt(headDim));
  const byHead = concat(g, batch, rest, length, width);
  const scoresByHead = concat(g, batch, rest, length, total);
  return {
    attend(g, q, k, v) {
      // The query heads of a KV head lie below each other, so that keys and values are multiplied
      // where they are.
      const kvHeads = g.node("Shape", [k], { start: 1, end: 2 });
      const byGroup = concat(g, batch, kvHeads, rest, width);
      const queries = g.node("Reshape", [g.node("Mul", [q, scale]), byGroup]);
      const keys = g.node("Transpose", [k], { perm: [0, 1, 3, 2] });
      const scores = g.node("Reshape", [g.node("MatMul", [queries, keys]), scoresByHead]);
      const weights = g.node("Softmax", [g.node("Add", [scores, mask])], { axis: -1 });
      const weightsByGroup = g.node("Reshape", [weights, concat(g, batch, kvHeads, rest, total)]);
      return g.node("Reshape", [g.node("MatMul", [weightsByGroup, v]), byHead]);
    },
  };
}
