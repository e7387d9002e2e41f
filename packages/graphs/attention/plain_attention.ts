import type { Attention } from "@lopper/core";
import type { AttendedHeads } from "../block_scope.ts";
import type { GraphBuilder } from "../graph_builder.ts";
import type { AttentionSizes } from "./masks.ts";

/** What attention blocks with the same sizes and the same mask share. */
export interface PlainAttention {
  /**
   * Adds attention to `g`: q `[B, heads, T, D]`, k and v `[B, KV, S, D]`, sinks and slopes
   * `[heads]` → `[B, heads, T, D]`.
   */
  attend(
    g: GraphBuilder,
    attention: Pick<Attention, "scale" | "softCap">,
    inputs: AttendedHeads,
  ): string;
}

/** What queries and keys are to one another. */
export interface AmongTokens {
  /** Added to the scores, `[T, S]` or `[B, 1, T, S]`. */
  readonly mask: string;
  /** Of a key from a query, float32 as `mask`; made where a block asks for it. */
  readonly distances: () => string;
}

/**
 * Attention by MatMul and Softmax, which every engine has and computes alike, for any head size and
 * number of heads. All scores `[B, heads, T, S]` are in memory at once.
 */
export function plainAttention(
  g: GraphBuilder,
  headDim: number,
  sizes: AttentionSizes,
  { mask, distances }: AmongTokens,
): PlainAttention {
  const { batch, length, total } = sizes;
  const concat = (g: GraphBuilder, ...parts: string[]) => g.node("Concat", parts, { axis: 0 });
  const [rest, width] = [g.int64([-1]), g.int64([headDim])];
  const byHead = concat(g, batch, rest, length, width);
  const scoresByHead = concat(g, batch, rest, length, total);
  return {
    attend(g, { scale, softCap }, { q, k, v, sinks, slopes }) {
      // The query heads of a KV head lie below each other, so that keys and values are multiplied
      // where they are.
      const kvHeads = g.node("Shape", [k], { start: 1, end: 2 });
      const byGroup = concat(g, batch, kvHeads, rest, width);
      const queries = g.node("Reshape", [g.node("Mul", [q, g.float32(scale)]), byGroup]);
      const keys = g.node("Transpose", [k], { perm: [0, 1, 3, 2] });
      const products = g.node("Reshape", [g.node("MatMul", [queries, keys]), scoresByHead]);
      const capped = softCap === null ? products : softCapped(g, products, softCap);
      const biased = slopes === undefined
        ? capped
        : g.node("Add", [capped, slopesByDistance(g, slopes, distances())]);
      const scores = g.node("Add", [biased, mask]);
      const weights = sinks === undefined
        ? g.node("Softmax", [scores], { axis: -1 })
        : softmaxWithSinks(g, scores, sinks, sizes);
      const weightsByGroup = g.node("Reshape", [weights, concat(g, batch, kvHeads, rest, total)]);
      return g.node("Reshape", [g.node("MatMul", [weightsByGroup, v]), byHead]);
    },
  };
}

/** What several blocks share, made where the first of them asks for it. */
export function once(make: () => string): () => string {
  let made: string | undefined;
  return () => made ??= make();
}

/** cap · tanh(x / cap) (Gemma 2, arXiv 2408.00118, section 2). */
function softCapped(g: GraphBuilder, x: string, cap: number): string {
  const within = g.node("Tanh", [g.node("Mul", [x, g.float32(1 / cap)])]);
  return g.node("Mul", [within, g.float32(cap)]);
}

/** What a head takes off a score for each token between query and key (arXiv 2108.12409). */
function slopesByDistance(g: GraphBuilder, slopes: string, distances: string): string {
  return g.node("Mul", [g.node("Reshape", [slopes, g.int64([-1, 1, 1])]), distances]);
}

/**
 * exp(x) / (exp(sink) + Σ exp(x)): each head has a score more, of no token (arXiv 2309.17453,
 * section 3.3; GPT-OSS learns it).
 */
function softmaxWithSinks(
  g: GraphBuilder,
  scores: string,
  sinks: string,
  { batch, length, total }: AttentionSizes,
): string {
  const heads = g.node("Shape", [sinks]);
  const shape = g.node("Concat", [batch, heads, length, g.int64([1])], { axis: 0 });
  const byHead = g.node("Reshape", [sinks, g.int64([1, -1, 1, 1])]);
  const all = g.node("Concat", [scores, g.node("Expand", [byHead, shape])], { axis: 3 });
  const weights = g.node("Softmax", [all], { axis: -1 });
  return g.node("Slice", [weights, g.int64([0]), total, g.int64([3])]);
}
