import type { Family } from "./family.ts";
import { LLAMA_DEFAULTS, LLAMA_PRUNE_GROUPS, LLAMA_TENSOR_NAMES } from "./hugging_face_layout.ts";

/** Mistral 7B and its relatives. */
export const mistral: Family = {
  modelType: "mistral",
  className: "Mistral",
  biases: { qkv: false, output: false, mlp: false },
  qkNorm: false,
  slidingWindow: "sliding_window",
  defaults: { ...LLAMA_DEFAULTS, maxPositions: 131_072, kvHeads: 8, slidingWindow: 4096 },
  tensorNames: LLAMA_TENSOR_NAMES,
  pruneGroups: LLAMA_PRUNE_GROUPS,
};
