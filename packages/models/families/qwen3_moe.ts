import type { ConfigReader } from "../config_reader.ts";
import type { Family, FamilySettings } from "./family.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";
import { SPARSE_STEPS } from "./mixture_layers.ts";
import { qwen3 } from "./qwen3.ts";

/** Qwen3 with mixtures of experts in place of its MLPs, or of some (arXiv 2505.09388). */
export const qwen3Moe: Family = {
  ...qwen3,
  modelType: "qwen3_moe",
  className: "Qwen3Moe",
  blocks: withExperts(qwen3.blocks, { at: "mlp.", dense: true }),
  // As transformers 5.24 writes it.
  alsoNamed: { num_experts: "num_local_experts" },
  // Where it is switched on, every layer has it.
  slidingWindow: "never",
  defaults: { ...qwen3.defaults, kvHeads: 4, headDim: "hidden/heads" },
  mixtureLayers: SPARSE_STEPS,
  expertWidth: "moe_intermediate_size",
  settings: (config) => ({
    ...(config.boolean("use_sliding_window", false) && {
      attention: { window: config.count("sliding_window", 4096) },
    }),
    experts: qwenExperts(config, { count: 128, topK: 8, channels: 768 }),
  }),
  packing: oneTensorEach("mlp.", ["gate_proj", "up_proj", "down_proj"]),
};

/** What configs of Qwen's mixtures say of them. @param absent what keys mean that are not there. */
export function qwenExperts(
  config: ConfigReader,
  absent: { readonly count: number; readonly topK: number; readonly channels: number },
): NonNullable<FamilySettings["experts"]> {
  return {
    count: config.count("num_experts", absent.count),
    channels: config.count("moe_intermediate_size", absent.channels),
    routing: {
      topK: config.count("num_experts_per_tok", absent.topK),
      softmaxOver: "all",
      ...(config.boolean("norm_topk_prob", false) && { renormalised: true }),
    },
  };
}
