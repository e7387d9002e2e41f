import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

/** Granite 3: a Llama with multipliers of embedding, branches, scores and logits. */
export const granite: Family = {
  ...llama,
  modelType: "granite",
  className: "Granite",
  plainHeads: "any",
  settings: (config) => ({
    multiplier: config.positive("residual_multiplier", 1),
    scaling: {
      embedding: config.positive("embedding_multiplier", 1),
      logits: 1 / config.positive("logits_scaling", 1),
    },
    attention: { scale: config.positive("attention_multiplier", 1) },
  }),
};
