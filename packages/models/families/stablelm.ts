import type { BlockTemplate, Family, PackedTensor } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed, withNormBiases, without, withSharedNorm } from "./llama_blocks.ts";

/** Norms of queries and keys have no biases. */
const blocksOf = (blocks: readonly BlockTemplate[]) =>
  without(
    withNormBiases(renamed(blocks, {
      attention: {
        q_norm: "self_attn.q_layernorm.weight",
        k_norm: "self_attn.k_layernorm.weight",
      },
    })),
    "q_norm_bias",
    "k_norm_bias",
  );

/** A norm for each head, in a tensor of its own. */
const ofHeads = (weight: string, norms: string): PackedTensor => ({
  tensor: `self_attn.${norms}.norms.{h}.weight`,
  weights: [weight],
});

/**
 * StableLM (arXiv 2402.17834): layer norms, a quarter of each head is rotated; in StableLM 2 12B
 * each head of queries and keys has a norm of its own.
 */
export const stablelm: Family = {
  ...llama,
  modelType: "stablelm",
  className: "StableLm",
  blocks: blocksOf(llama.blocks),
  norm: "layer",
  has: { qkvBias: { key: "use_qkv_bias" }, qkNorm: { key: "qk_layernorm" } },
  // A weight for each channel of all heads, though each head is normed by itself.
  qkNormOver: "all heads",
  outer: ["finalNorm", "finalNormBias"],
  keys: { rms_norm_eps: "layer_norm_eps" },
  plainHeads: "fill",
  defaults: { ...llama.defaults, maxPositions: 4096, rmsNormEps: 1e-5, rotated: 0.25, kvHeads: 32 },
  settings: (config) => ({
    parallel: config.boolean("use_parallel_residual", false),
    ...(config.boolean("qk_layernorm", false) && { attention: { normByHead: true } }),
  }),
  variant: (config) =>
    config.boolean("use_parallel_residual", false)
      ? { blocks: blocksOf(withSharedNorm(llama.blocks)) }
      : {},
  packing: [ofHeads("q_norm", "q_layernorm"), ofHeads("k_norm", "k_layernorm")],
  tensorNames: { ...llama.tensorNames, finalNormBias: "model.norm.bias" },
};
