import type { Family } from "./family.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";
import { SPARSE_STEPS } from "./mixture_layers.ts";
import { qwen2 } from "./qwen2.ts";
import { qwenExperts } from "./qwen3_moe.ts";

/**
 * Qwen1.5-MoE and Qwen2-57B-A14B (arXiv 2407.10671): a Qwen2 with mixtures of experts, and beside
 * them an MLP that all tokens go through.
 */
export const qwen2Moe: Family = {
  ...qwen2,
  modelType: "qwen2_moe",
  className: "Qwen2Moe",
  blocks: withExperts(qwen2.blocks, { at: "mlp.", shared: "shared_expert", dense: true }),
  alsoNamed: { num_experts: "num_local_experts" },
  has: { qkvBias: { key: "qkv_bias", absent: true } },
  slidingWindow: "layer_types",
  slides: (layer, config) =>
    config.boolean("use_sliding_window", false) && layer % 2 === 0 &&
    layer < config.number("max_window_layers", 28),
  defaults: { ...qwen2.defaults, kvHeads: 16 },
  mixtureLayers: SPARSE_STEPS,
  expertWidth: "moe_intermediate_size",
  settings: (config) => ({
    experts: {
      ...qwenExperts(config, { count: 60, topK: 4, channels: 1408 }),
      sharedChannels: config.count("shared_expert_intermediate_size", 5632),
    },
  }),
  packing: oneTensorEach("mlp.", ["gate_proj", "up_proj", "down_proj"]),
};
