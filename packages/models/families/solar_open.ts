import { deepseekExperts } from "./deepseek_router.ts";
import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";

/** Solar Open: a Llama whose layers all have mixtures that are routed as DeepSeek-V3's. */
export const solarOpen: Family = {
  ...llama,
  modelType: "solar_open",
  className: "SolarOpen",
  blocks: withExperts(llama.blocks, {
    at: "mlp.",
    correction: "gate.e_score_correction_bias",
    ungated: "shared_experts",
  }),
  has: { qkvBias: { key: "attention_bias" } },
  // No layer has an MLP, and its config no width of one.
  keys: { num_experts: "n_routed_experts", intermediate_size: null },
  alsoNamed: { num_experts: "num_local_experts" },
  usual: (config) => ({ ...config, intermediate_size: config.moe_intermediate_size ?? 1280 }),
  plainHeads: "any",
  defaults: {
    ...llama.defaults,
    ...{ maxPositions: 131_072, rmsNormEps: 1e-5, ropeTheta: 1_000_000, kvHeads: 8, headDim: 128 },
  },
  expertWidth: "moe_intermediate_size",
  settings: (config) => ({
    experts: deepseekExperts(config, {
      ...{ count: 128, topK: 8, channels: 1280, shared: 1 },
      ...{ renormalised: true, factor: 1 },
    }),
  }),
  packing: oneTensorEach("mlp.", ["gate_proj", "up_proj", "down_proj"]),
};
