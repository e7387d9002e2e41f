import type { BlockKind, BlockScope } from "../block_scope.ts";
import { rmsNorm } from "../layers.ts";

/**
 * o(attention(q(x), k(x), v(x))). Norms of q and k are over each head where their weights have as
 * many values as one, else over all channels that are there.
 */
export const attention: BlockKind = {
  kind: "attention",
  compute(scope, x) {
    const { weights, attend } = scope;
    const q = normed(scope, "q_norm", weights.project(x, "q"));
    const k = normed(scope, "k_norm", weights.project(x, "k"));
    const context = attend(q, k, weights.project(x, "v"));
    return { out: weights.project(context, "o"), captured: context };
  },
};

function normed({ g, block, weights, eps }: BlockScope, name: string, x: string): string {
  const norm = block.weights.find((weight) => weight.name === name);
  if (!norm) return x;
  const [axis] = norm.axes;
  const over = (values: string) => rmsNorm(g, values, weights.vector(name), eps);
  if (typeof axis !== "number") return over(x);
  const heads = over(g.node("Reshape", [x, g.int64([-1, axis])]));
  return g.node("Reshape", [heads, g.node("Shape", [x])]);
}
