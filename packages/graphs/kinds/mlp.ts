import { haveWeight } from "@lopper/core";
import type { BlockKind } from "../block_scope.ts";
import { activated } from "../layers.ts";

/**
 * down(f(gate(x)) · up(x)) (arXiv 2002.05202, equations 5 and 6), or without a gate down(f(up(x))).
 */
export const mlp: BlockKind = {
  kind: "mlp",
  compute({ g, block, weights }, x) {
    const apply = (values: string) => activated(g, values, block.activation ?? "silu");
    const activations = haveWeight([block], "gate")
      ? g.node("Mul", [apply(weights.project(x, "gate")), weights.project(x, "up")])
      : apply(weights.project(x, "up"));
    return { out: weights.project(activations, "down"), captured: activations };
  },
};
