import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { without } from "./llama_blocks.ts";

/** The first OLMo (arXiv 2402.00838): layer norms without weights. */
export const olmo: Family = {
  ...llama,
  modelType: "olmo",
  className: "Olmo",
  blocks: without(llama.blocks, "norm"),
  norm: "layer",
  has: { ...llama.has, mlpBias: false },
  outer: [],
  // Its ε is part of its code.
  keys: { rms_norm_eps: null },
  plainHeads: "any",
  defaults: { ...llama.defaults, rmsNormEps: 1e-5 },
  settings: (config) =>
    config.has("clip_qkv") ? { attention: { clip: config.positive("clip_qkv") } } : {},
};
