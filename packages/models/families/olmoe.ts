import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";

/** OLMoE (arXiv 2409.02060): norms of q and k over all heads, and mixtures of experts. */
export const olmoe: Family = {
  ...llama,
  modelType: "olmoe",
  className: "Olmoe",
  blocks: withExperts(llama.blocks, { at: "mlp." }),
  has: { ...llama.has, mlpBias: false, qkNorm: true },
  qkNormOver: "all heads",
  plainHeads: "fill",
  defaults: { ...llama.defaults, maxPositions: 4096, rmsNormEps: 1e-5 },
  settings: (config) => {
    config.only("clip_qkv");
    return {
      experts: {
        count: config.count("num_experts", 64),
        channels: config.count("intermediate_size"),
        routing: {
          topK: config.count("num_experts_per_tok", 8),
          softmaxOver: "all",
          ...(config.boolean("norm_topk_prob", false) && { renormalised: true }),
        },
      },
    };
  },
  packing: oneTensorEach("mlp.", ["gate_proj", "up_proj", "down_proj"]),
};
