import { deepseekExperts } from "./deepseek_router.ts";
import { exaone4 } from "./exaone4.ts";
import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";
import { firstDense, listedTypes } from "./mixture_layers.ts";

/**
 * K-EXAONE: EXAONE 4's attention with norms before blocks; the first layers have MLPs, the others
 * mixtures that are routed as DeepSeek-V3's.
 */
export const exaoneMoe: Family = {
  ...exaone4,
  modelType: "exaone_moe",
  className: "ExaoneMoe",
  blocks: withExperts(llama.blocks, {
    at: "mlp.",
    correction: "e_score_correction_bias",
    ungated: "shared_experts",
    dense: true,
  }),
  placement: "pre",
  keys: { n_shared_experts: "num_shared_experts" },
  defaults: { ...exaone4.defaults, rmsNormEps: 1e-5 },
  mixtureLayers: listedTypes("mlp_layer_types", firstDense("first_k_dense_replace", 1)),
  guesses: { key: "num_nextn_predict_layers", tensors: /^mtp\./ },
  expertWidth: "moe_intermediate_size",
  settings: (config) => ({
    ...exaone4.settings!(config),
    experts: deepseekExperts(config, {
      ...{ count: 64, topK: 8, channels: 1024, shared: 1 },
      ...{ renormalised: true, factor: 2.5 },
    }),
  }),
  packing: oneTensorEach("mlp.", ["gate_proj", "up_proj", "down_proj"]),
};
