import type { Block } from "./block.ts";
import type { ModelSpec } from "./model_spec.ts";

/** The blocks that a model has, in the order in which it runs them. */
export function blocksOf(spec: ModelSpec): readonly Block[] {
  const known = BLOCKS.get(spec);
  if (known) return known;
  const blocks = spec.layers.flatMap(({ attention, mlp }, layer) => [
    ...(attention ? [attentionBlock(spec, layer, attention)] : []),
    ...(mlp ? [mlpBlock(spec, layer, mlp.intermediateSize)] : []),
  ]);
  BLOCKS.set(spec, blocks);
  return blocks;
}

/** A spec is never changed, and its blocks are asked for again and again. */
const BLOCKS = new WeakMap<ModelSpec, readonly Block[]>();

function attentionBlock(
  { hiddenSize: hidden, headDim, biases, qkNorm, placement }: ModelSpec,
  layer: number,
  { queryHeads, kvHeads }: { readonly queryHeads: number; readonly kvHeads: number },
): Block {
  const dimension = "kvGroups";
  const query = { dimension, width: headDim * queryHeads / kvHeads };
  const kv = { dimension, width: headDim };
  const normed = qkNorm === "full"
    ? { q_norm: query, k_norm: kv }
    : { q_norm: headDim, k_norm: headDim };
  const bias = { q_bias: [query], k_bias: [kv], v_bias: [kv] };
  return {
    id: `${layer}.attention`,
    layer,
    kind: "attention",
    placement,
    dimensions: [{ name: dimension, units: kvHeads }],
    attended: query,
    weights: [
      { name: "norm", axes: [hidden], norm: true },
      { name: "q", axes: [query, hidden] },
      { name: "k", axes: [kv, hidden] },
      { name: "v", axes: [kv, hidden] },
      { name: "o", axes: [hidden, query] },
      ...(biases.qkv ? Object.entries(bias).map(([name, axes]) => ({ name, axes })) : []),
      ...(biases.output ? [{ name: "o_bias", axes: [hidden] }] : []),
      ...(qkNorm ? Object.entries(normed).map(([name, axis]) => ({ name, axes: [axis] })) : []),
    ],
  };
}

function mlpBlock(
  { hiddenSize: hidden, biases, placement }: ModelSpec,
  layer: number,
  units: number,
): Block {
  const dimension = "channels";
  const channels = { dimension, width: 1 };
  return {
    id: `${layer}.mlp`,
    layer,
    kind: "mlp",
    placement,
    dimensions: [{ name: dimension, units }],
    weights: [
      { name: "norm", axes: [hidden], norm: true },
      { name: "gate", axes: [channels, hidden] },
      { name: "up", axes: [channels, hidden] },
      { name: "down", axes: [hidden, channels] },
      ...(biases.mlp
        ? [
          { name: "gate_bias", axes: [channels] },
          { name: "up_bias", axes: [channels] },
          { name: "down_bias", axes: [hidden] },
        ]
        : []),
    ],
  };
}
