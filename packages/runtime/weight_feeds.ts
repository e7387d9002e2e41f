import { type Feeds, float32 } from "@lopper/backends";
import type { LaidOutRows } from "./laid_out_block.ts";

/**
 * Weights of a block as graphs are fed them, by their names: vectors, or matrices of their rows.
 * Good until the weights are used again.
 */
export function weightFeeds(weights: readonly LaidOutRows[]): Feeds {
  return Object.fromEntries(
    weights.map(({ name, data, rows }) => [
      name,
      float32(data, data.length === rows ? [rows] : [rows, data.length / rows]),
    ]),
  );
}
