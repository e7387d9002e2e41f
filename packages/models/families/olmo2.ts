import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed } from "./llama_blocks.ts";

/** OLMo 2 (arXiv 2501.00656): norms behind the blocks, and norms of q and k over all heads. */
export const olmo2: Family = {
  ...llama,
  modelType: "olmo2",
  className: "Olmo2",
  blocks: renamed(llama.blocks, {
    attention: { norm: "post_attention_layernorm.weight" },
    mlp: { norm: "post_feedforward_layernorm.weight" },
  }),
  placement: "post",
  // Its config has no key for biases of the MLP.
  has: { ...llama.has, mlpBias: false, qkNorm: true },
  qkNormOver: "all heads",
  plainHeads: "any",
  defaults: { ...llama.defaults, rmsNormEps: 1e-5 },
};
