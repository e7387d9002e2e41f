import { haveWeight, type Routing, sizeOf } from "@lopper/core";
import type { BlockKind, BlockWeights } from "../block_scope.ts";
import { mlpNodes } from "../gated_mlp.ts";
import type { GraphBuilder } from "../graph_builder.ts";

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
    const { chosen, shares } = routed(g, weights.project(x, "router"), routing);
    let sum = haveWeight([block], "shared_up")
      ? sharedNodes(scope, x)
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

/** The MLP that all tokens go through, weighted by a sigmoid where it has a gate for that. */
export function sharedNodes(
  { g, block, weights }: Parameters<BlockKind["compute"]>[0],
  x: string,
): string {
  const project: BlockWeights["project"] = (x, name) => weights.project(x, `shared_${name}`);
  const { out } = mlpNodes(g, x, block, project, true);
  if (!haveWeight([block], "shared_router")) return out;
  return g.node("Mul", [out, g.node("Sigmoid", [weights.project(x, "shared_router")])]);
}

/** Numbers of the experts that rows `[N, experts]` go to, and their weights, `[N, k]` each. */
function routed(
  g: GraphBuilder,
  scores: string,
  { topK, softmaxOver, renormalised }: Routing,
): { readonly chosen: string; readonly shares: string } {
  const [highest, chosen] = g.nodes("TopK", [scores, g.int64([topK])], 2, { axis: -1 });
  const softmax = (values: string) => g.node("Softmax", [values], { axis: -1 });
  // Divided by their sum, shares of all are shares of those that are chosen.
  const shares = softmaxOver === "chosen" || renormalised
    ? softmax(highest)
    : g.node("GatherElements", [softmax(scores), chosen], { axis: -1 });
  return { chosen, shares };
}
