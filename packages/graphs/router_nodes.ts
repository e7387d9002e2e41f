import {
  BEST_OF_GROUP,
  type Block,
  CORRECTION,
  haveWeight,
  type Routing,
  sizeOf,
} from "@lopper/core";
import type { BlockWeights } from "./block_scope.ts";
import type { GraphBuilder } from "./graph_builder.ts";

/** Which experts rows go to, as values of a graph. */
export interface RoutedValues {
  /** Their numbers, int64 `[N, k]`. */
  readonly chosen: string;
  /** What counts of what each computes, `[N, k]`. */
  readonly shares: string;
}

/**
 * Sends rows to experts (core, `Routing`), of which all that the block has are there.
 * @param scores as the router puts them out, `[N, experts]`.
 */
export function routedNodes(
  g: GraphBuilder,
  scores: string,
  block: Block,
  weights: Pick<BlockWeights, "vector">,
): RoutedValues {
  const { softmaxOver, renormalised, minSum, factor } = block.routing!;
  const softmax = (values: string) => g.node("Softmax", [values], { axis: -1 });
  const isPlain = block.dimensions[0].groups === undefined && !haveWeight([block], CORRECTION);
  let made: string | undefined;
  const weighed = () =>
    made ??= softmaxOver === null ? g.node("Sigmoid", [scores]) : softmax(scores);
  const worth = isPlain || softmaxOver === "chosen" ? scores : weighed();
  const chosen = chosenNodes(g, worth, block, weights);
  const of = (values: string) => g.node("GatherElements", [values, chosen], { axis: -1 });
  // Divided by their sum, shares of all are shares of those that are chosen.
  const alone = softmaxOver === "chosen" ||
    softmaxOver === "all" && renormalised && minSum === undefined;
  let shares = alone ? softmax(of(scores)) : of(weighed());
  if (renormalised && !alone) {
    const sum = g.node("ReduceSum", [shares, g.int64([-1])], { keepdims: 1 });
    const least = minSum === undefined ? sum : g.node("Max", [sum, g.float32(minSum)]);
    shares = g.node("Div", [shares, least]);
  }
  return { chosen, shares: factor === undefined ? shares : scaled(g, shares, factor) };
}

function scaled(g: GraphBuilder, values: string, factor: number): string {
  return g.node("Mul", [values, g.float32(factor)]);
}

/** The numbers of the experts that are worth most, `[N, k]`. */
function chosenNodes(
  g: GraphBuilder,
  worth: string,
  block: Block,
  weights: Pick<BlockWeights, "vector">,
): string {
  const { routing, dimensions: [{ groups }] } = block;
  const corrected = haveWeight([block], CORRECTION)
    ? g.node("Add", [worth, weights.vector(CORRECTION)])
    : worth;
  const { topGroups = groups } = routing!;
  const left = groups === undefined || topGroups === groups
    ? corrected
    : withinGroups(g, corrected, block, { groups, topGroups: topGroups! });
  return g.nodes("TopK", [left, g.int64([routing!.topK])], 2, { axis: -1 })[1];
}

/** The same where experts outside the best groups are worth less than any other. */
function withinGroups(
  g: GraphBuilder,
  worth: string,
  block: Block,
  { groups, topGroups }: Pick<Required<Routing>, "topGroups"> & { readonly groups: number },
): string {
  const experts = sizeOf(block)[block.dimensions[0].name];
  const each = experts / groups;
  const grouped = g.node("Reshape", [worth, g.int64([-1, groups, each])]);
  const best = g.int64([Math.min(BEST_OF_GROUP, each)]);
  const [highest] = g.nodes("TopK", [grouped, best], 2, { axis: -1 });
  const together = g.node("ReduceSum", [highest, g.int64([-1])], { keepdims: 0 });
  const [, kept] = g.nodes("TopK", [together, g.int64([topGroups])], 2, { axis: -1 });
  // [N, groups that are kept, groups], of which a group is one at most.
  const numbers = g.node("Reshape", [
    g.int64(Array.from({ length: groups }, (_, group) => group)),
    g.int64([1, 1, groups]),
  ]);
  const isOne = g.node("Equal", [g.node("Unsqueeze", [kept, g.int64([-1])]), numbers]);
  const isKept = g.node("ReduceMax", [g.cast(isOne, "float32"), g.int64([1])], { keepdims: 0 });
  const within = g.node("Unsqueeze", [g.cast(isKept, "bool"), g.int64([-1])]);
  const left = g.node("Where", [within, grouped, g.float32(-Infinity)]);
  return g.node("Reshape", [left, g.int64([-1, experts])]);
}
