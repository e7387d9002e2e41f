import { haveWeight, sizeOf } from "@lopper/core";
import type { BlockKind, BlockWeights } from "../block_scope.ts";
import { mlpNodes, type MlpValues } from "../gated_mlp.ts";
import { routedNodes } from "../router_nodes.ts";

/**
 * A mixture of experts as part of a larger graph, whose experts are stored: each computes the rows
 * that go to it, and none where there are none. Where blocks run one by one they do so beside their
 * graphs (`expert_graphs.ts`).
 */
export const experts: BlockKind = {
  kind: "experts",
  compute(scope, x) {
    const { g, block, weights } = scope;
    const { routing, dimensions: [{ name }] } = block;
    if (!routing || !weights.ofUnit) {
      throw new TypeError(
        `block ${block.id} is computed beside graphs: its experts are not stored`,
      );
    }
    const { chosen, shares } = routedNodes(g, weights.project(x, "router"), block, weights);
    let sum = haveWeight([block], "shared_up")
      ? sharedNodes(scope, x).out
      : g.node("Mul", [x, g.float32(0)]);
    for (let unit = 0; unit < sizeOf(block)[name]; unit++) {
      const isThis = g.cast(g.node("Equal", [chosen, g.int64([unit])]), "float32");
      const over = (values: string, keepdims: 0 | 1) =>
        g.node("ReduceSum", [values, g.int64([1])], { keepdims });
      const share = over(g.node("Mul", [isThis, shares]), 1);
      const rows = g.node("Reshape", [g.node("NonZero", [over(isThis, 0)]), g.int64([-1])]);
      const of = (values: string) => g.node("Gather", [values, rows], { axis: 0 });
      const { out } = mlpNodes(g, of(x), block, weights.ofUnit(unit).project, true);
      const more = g.node("Add", [of(sum), g.node("Mul", [out, of(share)])]);
      const places = g.node("Reshape", [rows, g.int64([-1, 1])]);
      sum = g.node("ScatterND", [sum, places, more]);
    }
    return { out: sum, captured: sum };
  },
};

/**
 * The MLP that all tokens go through, weighted by a sigmoid where it has a gate for that, and what
 * enters its last projection.
 */
export function sharedNodes(
  { g, block, weights }: Parameters<BlockKind["compute"]>[0],
  x: string,
): MlpValues {
  const project: BlockWeights["project"] = (x, name) => weights.project(x, `shared_${name}`);
  const { out, inner } = mlpNodes(g, x, block, project, true);
  if (!haveWeight([block], "shared_router")) return { out, inner };
  const weighted = g.node("Mul", [out, g.node("Sigmoid", [weights.project(x, "shared_router")])]);
  return { out: weighted, inner };
}
