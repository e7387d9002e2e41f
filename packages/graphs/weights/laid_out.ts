import { type Axis, type Block, type DeclaredWeight, unitAxis } from "@lopper/core";
import type { BlockWeights } from "../block_scope.ts";
import type { GraphBuilder } from "../graph_builder.ts";
import { linear, linearTransposed } from "../layers.ts";

/**
 * The axes of a weight as it is laid out in memory, so that the first rows are a narrower block: a
 * matrix whose columns belong to units is transposed.
 */
export function laidOutAxes(weight: DeclaredWeight): readonly Axis[] {
  return isTransposed(weight) ? weight.axes.toReversed() : weight.axes;
}

function isTransposed(weight: DeclaredWeight): boolean {
  return unitAxis(weight)?.at === 1;
}

/**
 * The weights of a block that are float32 values, laid out in memory; `valueOf` makes or names one.
 */
export function laidOutWeights(
  g: GraphBuilder,
  block: Block,
  valueOf: (weight: DeclaredWeight) => string,
): BlockWeights {
  const weights = new Map(block.weights.map((weight) => [weight.name, weight]));
  const value = (name: string) => {
    const weight = weights.get(name);
    if (!weight) throw new TypeError(`block ${block.id} has no weight ${name}`);
    return valueOf(weight);
  };
  return {
    vector: value,
    project(x, name) {
      const bias = `${name}_bias`;
      const multiply = isTransposed(weights.get(name)!) ? linearTransposed : linear;
      return multiply(g, x, value(name), weights.has(bias) ? value(bias) : undefined);
    },
  };
}
