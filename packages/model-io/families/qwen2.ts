import type { Family } from "./family.ts";
import { LLAMA_PRUNE_GROUPS, LLAMA_TENSOR_NAMES } from "./hugging_face_layout.ts";

/** Qwen2 and Qwen2.5: biases on q, k and v. */
export const qwen2: Family = {
  modelType: "qwen2",
  className: "Qwen2",
  biases: { qkv: true, output: false, mlp: false },
  qkNorm: false,
  defaultHeadDim: "hidden/heads",
  defaultKvHeads: "required",
  slidingWindow: "use_sliding_window",
  defaultSlidingWindow: 4096,
  tensorNames: LLAMA_TENSOR_NAMES,
  pruneGroups: LLAMA_PRUNE_GROUPS,
};
