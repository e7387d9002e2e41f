import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { without } from "./llama_blocks.ts";

/** Arcee's AFM: a Llama whose MLPs have no gate, and squares for it (relu²). */
export const arcee: Family = {
  ...llama,
  modelType: "arcee",
  className: "Arcee",
  blocks: without(llama.blocks, "gate", "gate_bias"),
  activation: "relu2",
  defaults: { ...llama.defaults, maxPositions: 4096, rmsNormEps: 1e-5 },
};
