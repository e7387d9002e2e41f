import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

/** Gemma (arXiv 2403.08295): norms with gain 1 + w, and rows of the embedding times √hidden. */
export const gemma: Family = {
  ...llama,
  modelType: "gemma",
  className: "Gemma",
  norm: "rms1p",
  has: { ...llama.has, mlpBias: false },
  plainHeads: "any",
  activation: "gelu_pytorch_tanh",
  defaults: {
    ...llama.defaults,
    maxPositions: 8192,
    tied: true,
    kvHeads: 16,
    headDim: 256,
  },
  settings: (config) => {
    config.only("use_bidirectional_attention", false);
    const scaling = { embedding: Math.sqrt(config.count("hidden_size")) };
    // The first checkpoints say "gelu" and mean its approximation.
    const isFirst = config.text("hidden_act", "") === "gelu";
    return { scaling, ...(isFirst && { activation: "gelu_pytorch_tanh" }) };
  },
};
