import type { Family } from "./family.ts";
import { LLAMA_BLOCKS } from "./llama_blocks.ts";

/** Llama 1 to 3 and what shares their architecture: TinyLlama, SmolLM2, Vicuna, … */
export const llama: Family = {
  modelType: "llama",
  className: "Llama",
  blocks: LLAMA_BLOCKS,
  norm: "rms",
  placement: "pre",
  has: {
    qkvBias: { key: "attention_bias" },
    outputBias: { key: "attention_bias" },
    mlpBias: { key: "mlp_bias" },
  },
  qkNormOver: "head",
  outer: ["finalNorm"],
  slidingWindow: "never",
  activation: "silu",
  defaults: {
    maxPositions: 2048,
    rmsNormEps: 1e-6,
    tied: false,
    intermediate: null,
    ropeTheta: 10_000,
    rotated: 1,
    kvHeads: "heads",
    headDim: "hidden/heads",
    slidingWindow: null,
    maxWindowLayers: 0,
  },
  plainHeads: "divide",
  tensorNames: {
    embedding: "model.embed_tokens.weight",
    finalNorm: "model.norm.weight",
    lmHead: "lm_head.weight",
    layer: "model.layers.{l}.",
    // Rotary frequencies follow from the config; checkpoints of 2023 still carry them as buffers.
    ignored: /\.rotary_emb\.inv_freq$/,
  },
};
