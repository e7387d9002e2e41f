import { axisLength, haveWeight, headsOf, sizeOf } from "@lopper/core";
import type { BlockKind, BlockScope } from "../block_scope.ts";
import { normed, normGain } from "../layers.ts";

/**
 * o(attention(q(x), k(x), v(x))), or with a gate o(attention(…) · sigmoid(gate(x))) (Qwen3-Next;
 * arXiv 2505.06708, equation 5). Norms of q and k are over each head where their weights have as
 * many values as one, or where attention says so, else over all channels that are there.
 */
export const attention: BlockKind = {
  kind: "attention",
  compute(scope, x) {
    const { g, block, weights, attend } = scope;
    const own = (name: string) => haveWeight([block], name) ? weights.vector(name) : undefined;
    const behind = block.attention?.normAfterRotation === true;
    const [q, k] = (["q", "k"] as const).map((name) => {
      const heads = clipped(scope, weights.project(x, name));
      return behind ? heads : normedHeads(scope, `${name}_norm`, heads);
    });
    const v = clipped(scope, weights.project(x, "v"));
    const seen = attend({
      ...{ q, k, v, sinks: own("sinks"), slopes: own("slopes") },
      ...(behind && { behindRotation: (x, of) => normedAsTheyLie(scope, `${of}_norm`, x) }),
    });
    const context = haveWeight([block], "output_gate")
      ? g.node("Mul", [seen, g.node("Sigmoid", [weights.project(x, "output_gate")])])
      : seen;
    return { out: weights.project(context, "o"), captured: context };
  },
};

function clipped({ g, block }: BlockScope, x: string): string {
  const clip = block.attention?.clip;
  return clip === undefined ? x : g.node("Clip", [x, g.float32(-clip), g.float32(clip)]);
}

/** Of heads `[B, heads, T, D]`. */
function normedAsTheyLie({ g, block, weights, norm }: BlockScope, name: string, x: string): string {
  return normed(g, x, norm, { width: headsOf(block).headDim, weight: weights.vector(name) });
}

function normedHeads(
  { g, block, weights, norm }: BlockScope,
  name: string,
  x: string,
): string {
  const axes = block.weights.find((weight) => weight.name === name)?.axes;
  if (!axes) return x;
  const [axis] = axes;
  const gain = weights.vector(name);
  const bias = haveWeight([block], `${name}_bias`) ? weights.vector(`${name}_bias`) : undefined;
  const byHead = (width: number, own: { readonly weight?: string; readonly bias?: string }) => {
    const heads = g.node("Reshape", [x, g.int64([-1, width])]);
    return g.node("Reshape", [normed(g, heads, norm, { width, ...own }), g.node("Shape", [x])]);
  };
  if (typeof axis === "number") return byHead(axis, { weight: gain, bias });
  if (!block.attention?.normByHead) {
    return normed(g, x, norm, { width: axisLength(axis, sizeOf(block)), weight: gain, bias });
  }
  const scaled = g.node("Mul", [byHead(headsOf(block).headDim, {}), normGain(g, norm, gain)]);
  return bias === undefined ? scaled : g.node("Add", [scaled, bias]);
}
