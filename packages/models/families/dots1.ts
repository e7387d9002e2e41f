import { deepseekExperts } from "./deepseek_router.ts";
import type { Family } from "./family.ts";
import { glm4Moe } from "./glm4_moe.ts";
import { firstDense } from "./mixture_layers.ts";
import { qwen3 } from "./qwen3.ts";

/** dots.llm1 (arXiv 2506.05767): Qwen3's attention, mixtures that are routed as DeepSeek-V3's. */
export const dots1: Family = {
  ...qwen3,
  modelType: "dots1",
  className: "Dots1",
  blocks: glm4Moe.blocks,
  keys: glm4Moe.keys,
  alsoNamed: glm4Moe.alsoNamed,
  plainHeads: "any",
  slidingWindow: "layer_types",
  slides: (layer, config) => layer >= config.number("max_window_layers", 62),
  defaults: {
    ...qwen3.defaults,
    ...{ maxPositions: 2048, kvHeads: 32, headDim: "hidden/heads", slidingWindow: 4096 },
  },
  mixtureLayers: firstDense("first_k_dense_replace", 0),
  expertWidth: "moe_intermediate_size",
  settings: (config) => ({
    experts: deepseekExperts(config, { channels: 1408, renormalised: false, factor: 1 }),
  }),
  packing: glm4Moe.packing,
};
