import type { GraphBuilder } from "../graph_builder.ts";

/**
 * Added to the scores of tokens that a query does not see; finite, since shading languages need not
 * know infinities, and since a query that sees no token at all (padding) gets numbers then.
 */
export const MASKED = -1e30;

/** Sizes as values of a graph, int64 [1]. */
export interface AttentionSizes {
  readonly batch: string;
  /** Tokens whose queries there are, T. */
  readonly length: string;
  /** Tokens whose keys there are, S; the queries are those of the last T. */
  readonly total: string;
}

/** What attention blocks with the same sizes share. */
export interface PlainAttention {
  /**
   * Adds causal attention to `g`: q `[B, heads, T, D]`, k and v `[B, KV, S, D]` → `[B, heads, T,
   * D]`.
   */
  attend(g: GraphBuilder, q: string, k: string, v: string): string;
}

/** What hides later tokens from the queries of the last T of S tokens: `[T, S]`. */
function causalMask(g: GraphBuilder, { length, total }: Omit<AttentionSizes, "batch">): string {
  const sizes = g.node("Concat", [length, total], { axis: 0 });
  const everywhere = g.node("Expand", [g.float32(MASKED), sizes]);
  const firstLater = g.node("Add", [g.node("Sub", [total, length]), g.int64([1])]);
  return g.node("Trilu", [everywhere, firstLater], { upper: 1 });
}

/**
 * What hides tokens in a padded batch: `[B, 1, T, S]`. A query sees those tokens among itself and
 * the ones before it that `attended` (int64 `[B, S]`) counts with 1; with a window, only so many of
 * the last.
 */
export function paddedMask(
  g: GraphBuilder,
  attended: string,
  { length, total }: Omit<AttentionSizes, "batch">,
  window: number | null,
): string {
  const [zero, one] = [g.int64([0]), g.int64([1])];
  const scalar = (x: string) => g.node("Squeeze", [x, zero]);
  const range = (from: string, to: string) =>
    g.node("Range", [scalar(from), scalar(to), scalar(one)]);
  const queries = g.node("Unsqueeze", [range(g.node("Sub", [total, length]), total), one]);
  const keys = g.node("Unsqueeze", [range(zero, total), zero]);
  let hidden = g.node("Greater", [keys, queries]);
  if (window !== null) {
    const tooFar = g.node("Sub", [queries, g.int64([window])]);
    hidden = g.node("Or", [hidden, g.node("LessOrEqual", [keys, tooFar])]);
  }
  const padding = g.node("Unsqueeze", [g.node("Equal", [attended, zero]), g.int64([1, 2])]);
  hidden = g.node("Or", [hidden, padding]);
  return g.node("Where", [hidden, g.float32(MASKED), g.float32(0)]);
}

/**
 * Attention by MatMul and Softmax, which every engine has and computes alike, for any head size and
 * number of heads. All scores `[B, heads, T, S]` are in memory at once. `mask` is added to them,
 * `[T, S]` or `[B, 1, T, S]`; without it, a query sees itself and all tokens before it.
 */
export function plainAttention(
  g: GraphBuilder,
  headDim: number,
  { batch, length, total }: AttentionSizes,
  mask: string = causalMask(g, { length, total }),
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
