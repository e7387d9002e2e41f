import type { BlockTemplate, Family } from "./family.ts";
import { llama } from "./llama.ts";

/** Names of the norms behind blocks. */
const BEHIND: Readonly<Record<string, string>> = {
  attention: "post_self_attn_layernorm.weight",
  mlp: "post_mlp_layernorm.weight",
};

const BLOCKS: readonly BlockTemplate[] = llama.blocks.map((block) => ({
  ...block,
  weights: {
    ...block.weights,
    post_norm: { tensor: BEHIND[block.kind], axes: ["hidden"], norm: true },
  },
}));

/**
 * GLM-4-0414 (arXiv 2406.12793): norms before and behind each block, neighbouring channels of half
 * of each head rotated together, gate and up in one matrix.
 */
export const glm4: Family = {
  ...llama,
  modelType: "glm4",
  className: "Glm4",
  blocks: BLOCKS,
  placement: "both",
  has: { qkvBias: { key: "attention_bias", absent: true } },
  keys: { mlp_bias: null },
  plainHeads: "any",
  defaults: {
    ...llama.defaults,
    maxPositions: 131_072,
    rmsNormEps: 1.5625e-7,
    rotated: 0.5,
    kvHeads: 2,
    headDim: 128,
  },
  pairs: "neighbours",
  packing: [{ tensor: "mlp.gate_up_proj.weight", weights: ["gate", "up"] }],
};
