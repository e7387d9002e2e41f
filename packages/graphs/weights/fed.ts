import type { Block } from "@lopper/core";
import type { BlockWeights } from "../block_scope.ts";
import type { GraphBuilder } from "../graph_builder.ts";
import { laidOutAxes, laidOutWeights } from "./laid_out.ts";

/**
 * Declares the weights of a block as feeds under their names, as they are laid out in memory: each
 * run has any number of units, and any block of the same kind.
 */
export function fedWeights(g: GraphBuilder, block: Block): BlockWeights {
  for (const weight of block.weights) {
    const dims = laidOutAxes(weight).map((axis) =>
      typeof axis === "number" ? axis : `${axis.dimension}_${axis.width}`
    );
    g.input(weight.name, "float32", dims);
  }
  return laidOutWeights(g, block, ({ name }) => name);
}
