import { deepseekExperts } from "./deepseek_router.ts";
import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";
import { firstDense } from "./mixture_layers.ts";

/**
 * GLM-4.5 to 4.7 (arXiv 2508.06471): half of each head is rotated, some models have norms of q and
 * k, the first layers have MLPs, the others mixtures that are routed as DeepSeek-V3's.
 */
export const glm4Moe: Family = {
  ...llama,
  modelType: "glm4_moe",
  className: "Glm4Moe",
  blocks: withExperts(llama.blocks, {
    at: "mlp.",
    correction: "gate.e_score_correction_bias",
    ungated: "shared_experts",
    dense: true,
  }),
  has: { qkvBias: { key: "attention_bias" }, qkNorm: { key: "use_qk_norm" } },
  keys: { num_experts: "n_routed_experts" },
  alsoNamed: { num_experts: "num_local_experts" },
  plainHeads: "any",
  defaults: {
    ...llama.defaults,
    maxPositions: 131_072,
    rmsNormEps: 1e-5,
    rotated: 0.5,
    kvHeads: 8,
  },
  mixtureLayers: firstDense("first_k_dense_replace", 1),
  guesses: { key: "num_nextn_predict_layers", tensors: "layers behind" },
  expertWidth: "moe_intermediate_size",
  settings: (config) => ({
    experts: deepseekExperts(config, {
      ...{ count: 128, topK: 8, channels: 1408, shared: 1 },
      ...{ renormalised: true, factor: 1 },
    }),
  }),
  packing: oneTensorEach("mlp.", ["gate_proj", "up_proj", "down_proj"]),
};
