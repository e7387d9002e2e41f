import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { withNormBiases, without } from "./llama_blocks.ts";

/** Nemotron-4, Minitron (arXiv 2402.16819): layer norms with gain 1 + w, plain MLPs, relu². */
export const nemotron: Family = {
  ...llama,
  modelType: "nemotron",
  className: "Nemotron",
  blocks: withNormBiases(without(llama.blocks, "gate", "gate_bias")),
  norm: "layer1p",
  outer: ["finalNorm", "finalNormBias"],
  keys: { rms_norm_eps: "norm_eps" },
  plainHeads: "any",
  activation: "relu2",
  defaults: {
    ...llama.defaults,
    maxPositions: 4096,
    rmsNormEps: 1e-5,
    rotated: 0.5,
  },
  tensorNames: { ...llama.tensorNames, finalNormBias: "model.norm.bias" },
};
