import { type Block, type BlockSize, headsOf } from "@lopper/core";
import { type Feeds, float32 } from "../backend.ts";
import { EPS, HIDDEN, residual, type Weights } from "./blocks.ts";
import { causalAttention, linear, linearTransposed, rmsNorm, rotate } from "./reference.ts";
import { values } from "./values.ts";

interface RotaryTable {
  readonly cos: ArrayLike<number>;
  readonly sin: ArrayLike<number>;
  readonly pairs: number;
  readonly feeds: Feeds;
}

/** Cosines and sines `[80, pairs]`; a table need not hold any. */
export function rotaryTable(block: Block): RotaryTable {
  const { rope } = block.attention!;
  if (!rope) return { cos: [], sin: [], pairs: 0, feeds: {} };
  const pairs = (rope.channels ?? headsOf(block).headDim) / 2;
  const [cos, sin] = [12, 13].map((seed) => values(80 * pairs, seed));
  const dims = [80, pairs];
  return { cos, sin, pairs, feeds: { cos: float32(cos, dims), sin: float32(sin, dims) } };
}

/** An attention block of one sequence `[T, hidden]`, in float64. */
export function expectedAttention(
  block: Block,
  size: BlockSize,
  { data, optional }: Weights,
  hidden: Float32Array,
) {
  const { queryHeads, kvHeads, headDim } = headsOf(block, size);
  const attention = block.attention!;
  const { clip = Infinity, rope } = attention;
  const table = rotaryTable(block);
  return residual(block, data("norm"), hidden, (x) => {
    const project = (name: string) =>
      linear(x, data(name), HIDDEN, optional(`${name}_bias`))
        .map((value) => Math.max(-clip, Math.min(clip, value)));
    const rotated = (name: string, heads: number) => {
      const norm = optional(`${name}_norm`);
      const projected = project(name);
      const y = !norm || attention.normAfterRotation
        ? projected
        : attention.normByHead
        ? rmsNorm(projected, new Float32Array(headDim).fill(1), EPS)
          .map((value, i) => value * norm[i % norm.length])
        : rmsNorm(projected, norm, EPS);
      const neighbours = rope?.pairs === "neighbours";
      const turned = rotate(y, { heads, headDim, neighbours, position: (t) => t, ...table });
      return norm && attention.normAfterRotation ? rmsNorm(turned, norm, EPS) : turned;
    };
    const { rate, length } = attention.queryGrowth ?? { rate: 0, length: 1 };
    const growth = (token: number) => 1 + rate * Math.log1p(Math.floor(token / length));
    const q = rotated("q", queryHeads)
      .map((value, i) => value * growth(Math.floor(i / (queryHeads * headDim))));
    const k = rotated("k", kvHeads);
    const seen = causalAttention(q, k, project("v"), {
      ...{ heads: queryHeads, kvHeads, headDim, ...attention },
      ...{ sinks: optional("sinks"), slopes: optional("slopes") },
    });
    const gate = optional("output_gate") && linear(x, data("output_gate"), HIDDEN);
    const context = gate ? seen.map((value, i) => value / (1 + Math.exp(-gate[i]))) : seen;
    return linearTransposed(context, data("o"), queryHeads * headDim, optional("o_bias"));
  });
}
