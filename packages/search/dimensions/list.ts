import type { Block } from "@lopper/core";
import { CHANNELS } from "./channels.ts";
import { hasDimension, type SearchDimension } from "./dimension.ts";
import { EXPERTS } from "./experts.ts";
import { KV_GROUPS } from "./kv_groups.ts";

/** What a search can take a part of. */
export const DIMENSIONS: readonly SearchDimension[] = [CHANNELS, EXPERTS, KV_GROUPS];

/** Whether all layers lose as many units of a dimension, unless it is said otherwise. */
export function isAlike(dimension: string): boolean {
  return DIMENSIONS.some(({ name, alike }) => name === dimension && alike === true);
}

/**
 * What a search takes a part of in a model, in the order in which it does and in which shares are
 * given: where tokens go to experts, those stand in the place of channels.
 */
export function dimensionsOfBlocks(blocks: readonly Block[]): readonly SearchDimension[] {
  const isMixture = blocks.some((block) => hasDimension(block, EXPERTS.name));
  return DIMENSIONS.filter((dimension) => dimension !== (isMixture ? CHANNELS : EXPERTS));
}
