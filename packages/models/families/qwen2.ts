import type { Family } from "./family.ts";
import { LLAMA_PRUNE_GROUPS, LLAMA_TENSOR_NAMES, QWEN_DEFAULTS } from "./hugging_face_layout.ts";

/** Qwen2 and Qwen2.5: biases on q, k and v. */
export const qwen2: Family = {
  modelType: "qwen2",
  className: "Qwen2",
  biases: { qkv: true, output: false, mlp: false },
  qkNorm: false,
  slidingWindow: "use_sliding_window",
  defaults: QWEN_DEFAULTS,
  tensorNames: LLAMA_TENSOR_NAMES,
  pruneGroups: LLAMA_PRUNE_GROUPS,
};
