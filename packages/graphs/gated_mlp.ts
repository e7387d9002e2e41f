import type { Block } from "@lopper/core";
import type { GraphBuilder } from "./graph_builder.ts";
import { activated } from "./layers.ts";

/** x · Wᵀ, and the bias, for the weight of an MLP that has this name. */
export type Project = (x: string, name: "gate" | "up" | "down") => string;

/** An MLP as values of a graph: what it puts out, and what enters its last projection. */
export interface MlpValues {
  readonly out: string;
  readonly inner: string;
}

/**
 * down(f(gate(x)) · up(x)) (arXiv 2002.05202, equations 5 and 6), or without a gate down(f(up(x))).
 */
export function mlpNodes(
  g: GraphBuilder,
  x: string,
  { activation = "silu", gating }: Pick<Block, "activation" | "gating">,
  project: Project,
  hasGate: boolean,
): MlpValues {
  const apply = (values: string) => activated(g, values, activation);
  const inner = !hasGate
    ? apply(project(x, "up"))
    : gating
    ? limitedGate(g, project(x, "gate"), project(x, "up"), gating)
    : g.node("Mul", [apply(project(x, "gate")), project(x, "up")]);
  return { out: project(inner, "down"), inner };
}

/** As core's `Gating` has it. */
function limitedGate(
  g: GraphBuilder,
  gate: string,
  up: string,
  { alpha, limit }: NonNullable<Block["gating"]>,
): string {
  const [least, most] = [g.float32(-limit), g.float32(limit)];
  const cut = g.node("Min", [gate, most]);
  const sigmoid = g.node("Sigmoid", [g.node("Mul", [cut, g.float32(alpha)])]);
  const within = g.node("Max", [g.node("Min", [up, most]), least]);
  const raised = g.node("Add", [within, g.float32(1)]);
  return g.node("Mul", [g.node("Mul", [cut, sigmoid]), raised]);
}
