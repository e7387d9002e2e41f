import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

/** Mistral 7B and its relatives: a Llama without biases whose attention has a window. */
export const mistral: Family = {
  ...llama,
  modelType: "mistral",
  className: "Mistral",
  // No key of its config says that there are some.
  has: {},
  slidingWindow: "sliding_window",
  plainHeads: "any",
  defaults: { ...llama.defaults, maxPositions: 131_072, kvHeads: 8, slidingWindow: 4096 },
};
