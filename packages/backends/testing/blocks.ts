import { axisLength, type Block, type BlockSize } from "@lopper/core";
import { laidOutAxes } from "@lopper/graphs";
import type { LayerSizes } from "@lopper/models";
import { type ArchitectureChange, architectureOfLayers } from "@lopper/models/testing";
import { float32 } from "../backend.ts";
import { rmsNorm } from "./reference.ts";
import { TOLERANCE, values } from "./values.ts";

export const EPS = 1e-6;
export const NORM = { kind: "rms", eps: EPS } as const;
export const HIDDEN = 20;

export const BIASED: ArchitectureChange = { traits: ["qkvBias", "outputBias", "mlpBias"] };

/** The only block of a layer like this. */
export function blockOf(layer: Partial<LayerSizes>, variety: ArchitectureChange): Block {
  const [block] = architectureOfLayers([{ attention: null, mlp: null, ...layer }], {
    ...{ hiddenSize: HIDDEN, headDim: 16 },
    ...variety,
  }).blocks;
  return block;
}

/**
 * The weights of a block of this size as a graph is fed them, and the values of each; those of
 * norms are around 1.
 */
export function weightsOf(block: Block, size: BlockSize) {
  const feeds = Object.fromEntries(block.weights.map((weight, seed) => {
    const dims = laidOutAxes(weight).map((axis) => axisLength(axis, size));
    const count = dims.reduce((product, d) => product * d, 1);
    const center = weight.name.endsWith("norm") ? 1 : 0;
    return [weight.name, float32(values(count, seed + 1, center), dims)];
  }));
  const data = (name: string) => feeds[name]?.data as Float32Array | undefined;
  return { feeds, data: (name: string) => data(name)!, optional: data };
}

export type Weights = ReturnType<typeof weightsOf>;

/** In float64: h + f(norm(h)), or with the norm behind it h + norm(f(h)). */
export function residual(
  { placement }: Block,
  norm: Float32Array,
  hidden: Float32Array,
  compute: (x: Float64Array) => Float64Array,
): Float64Array {
  const x = Float64Array.from(hidden);
  const added = placement === "post"
    ? rmsNorm(compute(x), norm, EPS)
    : compute(rmsNorm(x, norm, EPS));
  return added.map((value, i) => value + hidden[i]);
}

/** A norm behind a block makes small things that it adds large, and what was rounded in them. */
export function toleranceOf({ placement }: Block): number {
  return placement === "post" ? 5 * TOLERANCE : TOLERANCE;
}
