import { CHANNELS } from "./channels.ts";
import type { SearchDimension } from "./dimension.ts";
import { KV_GROUPS } from "./kv_groups.ts";

/**
 * What a search can take a part of, in the order in which it does and in which shares are given.
 */
export const DIMENSIONS: readonly SearchDimension[] = [CHANNELS, KV_GROUPS];
