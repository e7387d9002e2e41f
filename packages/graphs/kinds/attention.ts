import { axisLength, haveWeight, sizeOf } from "@lopper/core";
import type { BlockKind, BlockScope } from "../block_scope.ts";
import { normed } from "../layers.ts";

/**
 * o(attention(q(x), k(x), v(x))). Norms of q and k are over each head where their weights have as
 * many values as one, else over all channels that are there.
 */
export const attention: BlockKind = {
  kind: "attention",
  compute(scope, x) {
    const { weights, attend } = scope;
    const q = normedHeads(scope, "q_norm", weights.project(x, "q"));
    const k = normedHeads(scope, "k_norm", weights.project(x, "k"));
    const context = attend(q, k, weights.project(x, "v"));
    return { out: weights.project(context, "o"), captured: context };
  },
};

function normedHeads(
  { g, block, weights, norm }: BlockScope,
  name: string,
  x: string,
): string {
  const axes = block.weights.find((weight) => weight.name === name)?.axes;
  if (!axes) return x;
  const [axis] = axes;
  const bias = haveWeight([block], `${name}_bias`) ? weights.vector(`${name}_bias`) : undefined;
  const over = (values: string, width: number) =>
    normed(g, values, norm, { width, weight: weights.vector(name), bias });
  if (typeof axis !== "number") return over(x, axisLength(axis, sizeOf(block)));
  const heads = over(g.node("Reshape", [x, g.int64([-1, axis])]), axis);
  return g.node("Reshape", [heads, g.node("Shape", [x])]);
}
