import { axisLength, type Block, type BlockSize, sizeOf } from "./block.ts";

/** Heads of a block that is attended. */
export interface Heads {
  readonly queryHeads: number;
  readonly kvHeads: number;
  /** Channels of one head. */
  readonly headDim: number;
}

/** Query heads that read one KV head. */
export function groupSize({ queryHeads, kvHeads }: Heads): number {
  return queryHeads / kvHeads;
}

/**
 * What the axes of a block's weights say of its heads: a unit is one KV head, k has its channels,
 * and q those of the query heads that read it.
 * @throws {TypeError} when the block is not attended.
 */
export function headsOf(block: Block, size: BlockSize = sizeOf(block)): Heads {
  const k = block.weights.find(({ name }) => name === "k")?.axes[0];
  if (!block.attention || typeof k !== "object") {
    throw new TypeError(`block ${block.id} has no heads`);
  }
  const headDim = k.width;
  return {
    queryHeads: axisLength(block.attention.channels, size) / headDim,
    kvHeads: axisLength(k, size) / headDim,
    headDim,
  };
}
