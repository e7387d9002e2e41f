import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { withSharedNorm } from "./llama_blocks.ts";

/**
 * Command R7B (Cohere 2): attention beside the MLP, three layers with a window and rotation for
 * each one without either.
 */
export const cohere2: Family = {
  ...llama,
  modelType: "cohere2",
  className: "Cohere2",
  blocks: withSharedNorm(llama.blocks),
  norm: "layer",
  has: { ...llama.has, mlpBias: false },
  slidingWindow: "layer_types",
  slides: (layer, config) => (layer + 1) % config.count("sliding_window_pattern", 4) !== 0,
  pairs: "neighbours",
  keys: { rms_norm_eps: "layer_norm_eps" },
  plainHeads: "fill",
  defaults: {
    ...llama.defaults,
    maxPositions: 8192,
    rmsNormEps: 1e-5,
    tied: true,
    slidingWindow: 4096,
  },
  settings: (config) => ({
    parallel: true,
    scaling: { logits: config.number("logit_scale", 0.0625) },
    attentionOf: (_, window) => window === null ? { rope: null } : {},
  }),
};
