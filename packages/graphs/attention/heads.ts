import { axisLength, type Block, type BlockSize } from "@lopper/core";
import type { GraphBuilder } from "../graph_builder.ts";

/** Heads of a block that is attended. */
export interface Heads {
  readonly queryHeads: number;
  readonly kvHeads: number;
  /** Channels of one head. */
  readonly headDim: number;
}

/**
 * What the axes of a block's weights say of its heads: a unit is one KV head, k has its channels, and q those of the query heads
 * that read it.
 * @throws {TypeError} when the block is not attended.
 */
export function headsOf(block: Block, size: BlockSize): Heads {
  const k = block.weights.find(({ name }) => name === "k")?.axes[0];
  if (block.attended === undefined || typeof k !== "object") {
    throw new TypeError(`block ${block.id} has no heads`);
  }
  const headDim = k.width;
  return {
    queryHeads: axisLength(block.attended, size) / headDim,
    kvHeads: axisLength(k, size) / headDim,
    headDim,
  };
}

/** Attention by operators that leave the rotary embedding and the order of the axes to the graph. */
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
  [q, k, v]: readonly [q: string, k: string, v: string],
): string {
  const swap = (x: string) => g.node("Transpose", [x], { perm: [0, 2, 1, 3] });
  const heads = (x: string) => swap(g.node("Reshape", [x, shape]));
  const context = attend(rotate(heads(q)), rotate(heads(k)), heads(v));
  return g.node("Reshape", [swap(context), g.node("Shape", [q])]);
}
