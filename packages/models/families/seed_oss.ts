import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

/** ByteDance Seed-OSS: a Llama with biases on q, k and v unless its config says otherwise. */
export const seedOss: Family = {
  ...llama,
  modelType: "seed_oss",
  className: "SeedOss",
  has: {
    qkvBias: { key: "attention_bias", absent: true },
    outputBias: { key: "attention_out_bias" },
    mlpBias: { key: "mlp_bias" },
  },
  plainHeads: "any",
  defaults: { ...llama.defaults, maxPositions: 524_288, kvHeads: 8, headDim: 128 },
};
