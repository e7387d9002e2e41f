import { axisLength, type Block, sizeOf, type UnitAxis, unitAxis } from "@lopper/core";
import type { BlockWeights } from "../block_scope.ts";
import type { GraphBuilder } from "../graph_builder.ts";
import { laidOutAxes, laidOutWeights } from "./laid_out.ts";

/** Under which name the value of a weight is given to `compile`. */
export function residentWeightName(block: Block, weight: string): string {
  return `${block.id}.${weight}`;
}

/**
 * The axes along which a block may get narrower, each with the name of the feed that says how many
 * rows are left.
 */
export function residentRows(block: Block): ReadonlyMap<string, UnitAxis> {
  const axes = block.weights.flatMap((weight) => unitAxis(weight) ?? []);
  return new Map(axes.map((axis) => [rowsName(block, axis), axis]));
}

function rowsName({ id }: Block, { dimension, width }: UnitAxis): string {
  return `${id}.${dimension}.${width}`;
}

/**
 * Declares the weights of a block as the compiled graph's own, in full width, and the feeds of
 * `residentRows`, int64 [1]. Returns the weights that a run reads, in a graph or a branch of it:
 * the first rows.
 */
export function residentWeights(
  g: GraphBuilder,
  block: Block,
): (branch: GraphBuilder) => BlockWeights {
  const size = sizeOf(block);
  for (const weight of block.weights) {
    const dims = laidOutAxes(weight).map((axis) => axisLength(axis, size));
    g.weight(residentWeightName(block, weight.name), dims);
  }
  for (const name of residentRows(block).keys()) g.input(name, "int64", [1]);
  return (branch) =>
    laidOutWeights(branch, block, (weight) => {
      const whole = residentWeightName(block, weight.name);
      const axis = unitAxis(weight);
      if (!axis) return whole;
      const zero = branch.int64([0]);
      return branch.node("Slice", [whole, zero, rowsName(block, axis), zero]);
    });
}
