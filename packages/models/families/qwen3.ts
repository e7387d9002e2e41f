import type { Family } from "./family.ts";
import { LLAMA_PRUNE_GROUPS, LLAMA_TENSOR_NAMES, QWEN_DEFAULTS } from "./hugging_face_layout.ts";

/** Qwen3 (dense): q/k norms, head size apart from the hidden size. */
export const qwen3: Family = {
  modelType: "qwen3",
  className: "Qwen3",
  biases: { qkv: "attention_bias", output: "attention_bias", mlp: false },
  qkNorm: true,
  slidingWindow: "use_sliding_window",
  defaults: { ...QWEN_DEFAULTS, headDim: 128 },
  tensorNames: LLAMA_TENSOR_NAMES,
  pruneGroups: LLAMA_PRUNE_GROUPS,
};
