import type { BlockKind } from "../block_scope.ts";
import { silu } from "../layers.ts";

/** down(silu(gate(x)) · up(x)) (SwiGLU, arXiv 2002.05202, equation 6). */
export const mlp: BlockKind = {
  kind: "mlp",
  compute({ g, weights }, x) {
    const gated = weights.project(x, "gate");
    const raised = weights.project(x, "up");
    const activations = g.node("Mul", [silu(g, gated), raised]);
    return { out: weights.project(activations, "down"), captured: activations };
  },
};
