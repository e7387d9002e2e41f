import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

const BIASES = { key: "use_bias" } as const;

/** ERNIE 4.5 without experts: a Llama whose neighbouring channels are rotated together. */
export const ernie45: Family = {
  ...llama,
  modelType: "ernie4_5",
  className: "Ernie4_5",
  has: { qkvBias: BIASES, outputBias: BIASES, mlpBias: BIASES },
  plainHeads: "any",
  defaults: {
    ...llama.defaults,
    maxPositions: 131_072,
    rmsNormEps: 1e-5,
    tied: true,
    ropeTheta: 500_000,
    kvHeads: 2,
    headDim: 128,
  },
  pairs: "neighbours",
};
