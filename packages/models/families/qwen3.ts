import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { qwen2 } from "./qwen2.ts";

/**
 * Qwen3 (dense): norms of q and k instead of their biases, head size apart from the hidden size.
 */
export const qwen3: Family = {
  ...qwen2,
  modelType: "qwen3",
  className: "Qwen3",
  // Its config has the key for biases of attention, as Llama's.
  has: { ...llama.has, mlpBias: false, qkNorm: true },
  defaults: { ...qwen2.defaults, headDim: 128 },
};
