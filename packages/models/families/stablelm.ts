import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { withNormBiases, withSharedNorm } from "./llama_blocks.ts";

const BLOCKS = withNormBiases(llama.blocks);

/** StableLM (arXiv 2402.17834): layer norms, a quarter of each head is rotated. */
export const stablelm: Family = {
  ...llama,
  modelType: "stablelm",
  className: "StableLm",
  blocks: BLOCKS,
  norm: "layer",
  has: { qkvBias: { key: "use_qkv_bias" } },
  outer: ["finalNorm", "finalNormBias"],
  keys: { rms_norm_eps: "layer_norm_eps" },
  plainHeads: "fill",
  defaults: { ...llama.defaults, maxPositions: 4096, rmsNormEps: 1e-5, rotated: 0.25, kvHeads: 32 },
  settings: (config) => {
    config.only("qk_layernorm", false);
    return { parallel: config.boolean("use_parallel_residual", false) };
  },
  variant: (config) =>
    config.boolean("use_parallel_residual", false)
      ? { blocks: withNormBiases(withSharedNorm(llama.blocks)) }
      : {},
  tensorNames: { ...llama.tensorNames, finalNormBias: "model.norm.bias" },
};
