import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

/** Qwen2 and Qwen2.5: a Llama with biases on q, k and v. */
export const qwen2: Family = {
  ...llama,
  modelType: "qwen2",
  className: "Qwen2",
  // They always are there, and no others; the config does not speak of them.
  has: { qkvBias: true },
  slidingWindow: "use_sliding_window",
  plainHeads: "any",
  defaults: {
    ...llama.defaults,
    maxPositions: 32_768,
    kvHeads: 32,
    slidingWindow: 4096,
    maxWindowLayers: 28,
  },
};
