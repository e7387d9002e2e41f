import type { Block } from "@lopper/core";
import { CHANNELS } from "./channels.ts";
import { hasDimension, type SearchDimension } from "./dimension.ts";
import { EXPERTS } from "./experts.ts";
import { KV_GROUPS } from "./kv_groups.ts";

/** What a search can take a part of. */
export const DIMENSIONS: readonly SearchDimension[] = [CHANNELS, EXPERTS, KV_GROUPS];

/**
 * Whether all layers with such a block lose as many units of a dimension, unless it is said
 * otherwise.
 */
export function isAlike(block: Block, dimension: string): boolean {
  return DIMENSIONS.some(({ name, alike }) => name === dimension && alike?.(block) === true);
}

/**
 * What a search takes a part of in a model, in the order in which it does and in which shares are
 * given: where tokens go to experts, those stand in the place of channels, which come last.
 */
export function dimensionsOfBlocks(blocks: readonly Block[]): readonly SearchDimension[] {
  const isMixture = blocks.some((block) => hasDimension(block, EXPERTS.name));
  return isMixture ? [EXPERTS, KV_GROUPS, CHANNELS] : [CHANNELS, KV_GROUPS];
}

/**
 * Those of them where experts keep their channels: by these blocks are timed (core, `timedUnits`),
 * and searches went before channels of experts could go.
 */
export function dimensionsOfWholeExperts(blocks: readonly Block[]): readonly SearchDimension[] {
  const isMixture = blocks.some((block) => hasDimension(block, EXPERTS.name));
  return dimensionsOfBlocks(blocks).filter((one) => !isMixture || one !== CHANNELS);
}

/**
 * Those of them that a distribution has shares of, behind that of blocks: channels of experts need
 * none.
 */
export function dimensionsOfShares(
  dimensions: readonly SearchDimension[],
  shares: readonly number[],
): readonly SearchDimension[] {
  const isShort = dimensions.at(-1) === CHANNELS && shares.length === dimensions.length;
  return isShort ? dimensions.slice(0, -1) : dimensions;
}
