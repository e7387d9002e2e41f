import { ernie45 } from "./ernie4_5.ts";
import type { Family } from "./family.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";
import { LAYERS_BETWEEN, wholeFrom0 } from "./mixture_layers.ts";

const CORRECTION = "moe_statics.e_score_correction_bias";

/**
 * ERNIE 4.5 with mixtures of experts in all layers but for the first and perhaps the last: the
 * choice goes by a corrected softmax, beside experts for all tokens.
 */
export const ernie45Moe: Family = {
  ...ernie45,
  modelType: "ernie4_5_moe",
  className: "Ernie4_5_Moe",
  blocks: withExperts(ernie45.blocks, {
    at: "mlp.",
    correction: CORRECTION,
    ungated: "shared_experts",
    dense: true,
  }),
  has: {},
  keys: { num_experts: "moe_num_experts", num_experts_per_tok: "moe_k" },
  defaults: { ...ernie45.defaults, kvHeads: 4, headDim: "hidden/heads" },
  mixtureLayers: LAYERS_BETWEEN,
  guesses: { key: "num_nextn_predict_layers", tensors: /(?:^|\.)mtp_/ },
  expertWidth: "moe_intermediate_size",
  settings: (config) => {
    config.only("use_bias", false);
    const channels = config.count("moe_intermediate_size", 1536);
    const shared = wholeFrom0(config, "moe_num_shared_experts", 2);
    return {
      experts: {
        ...{ count: config.count("num_experts", 64), channels },
        ...(shared > 0 && { sharedExperts: shared }),
        routing: {
          topK: config.count("num_experts_per_tok", 6),
          softmaxOver: "all",
          renormalised: true,
          minSum: config.positive("moe_norm_min", 1e-12),
        },
      },
    };
  },
  packing: [
    ...oneTensorEach("mlp.", ["gate_proj", "up_proj", "down_proj"]),
    { tensor: `mlp.${CORRECTION}`, kind: "experts", weights: ["correction"], row: true },
  ],
};
