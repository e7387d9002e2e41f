import type { BlockGrid } from "./block_grid.ts";
import { Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./quantize_blocks.ts";
import { Q4_K, Q5_K, Q6_K } from "./quantize_k.ts";

/** The quantised types that values are rounded to. */
export const BLOCK_GRIDS = { Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K } satisfies Readonly<
  Record<string, BlockGrid>
>;
export type GridName = keyof typeof BLOCK_GRIDS;
