import { haveWeight } from "@lopper/core";
import type { BlockKind } from "../block_scope.ts";
import { mlpNodes } from "../gated_mlp.ts";

/** An MLP with a gate, or without one. */
export const mlp: BlockKind = {
  kind: "mlp",
  compute({ g, block, weights }, x) {
    const hasGate = haveWeight([block], "gate");
    const { out, inner } = mlpNodes(g, x, block, weights.project, hasGate);
    return { out, captured: inner };
  },
};
