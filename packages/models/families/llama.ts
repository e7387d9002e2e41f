import type { Family } from "./family.ts";
import { LLAMA_DEFAULTS, LLAMA_PRUNE_GROUPS, LLAMA_TENSOR_NAMES } from "./hugging_face_layout.ts";

/** Llama 1 to 3 and what shares their architecture: TinyLlama, SmolLM2, Vicuna, … */
export const llama: Family = {
  modelType: "llama",
  className: "Llama",
  biases: { qkv: "attention_bias", output: "attention_bias", mlp: "mlp_bias" },
  qkNorm: false,
  slidingWindow: "never",
  defaults: LLAMA_DEFAULTS,
  tensorNames: LLAMA_TENSOR_NAMES,
  pruneGroups: LLAMA_PRUNE_GROUPS,
};
