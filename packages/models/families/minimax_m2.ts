import { numberOf } from "../json_numbers.ts";
import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";

/**
 * MiniMax-M2, its weights dequantised: norms of q and k over all heads, a part of each head
 * rotated, and mixtures whose choice goes by corrected sigmoids.
 */
export const minimaxM2: Family = {
  ...llama,
  modelType: "minimax_m2",
  className: "MiniMaxM2",
  blocks: withExperts(llama.blocks, {
    at: "block_sparse_moe.",
    correction: "e_score_correction_bias",
  }),
  has: { qkNorm: true },
  qkNormOver: "all heads",
  keys: { num_experts: "num_local_experts" },
  // How the first configs say which part of a head is rotated.
  usual: ({ rotary_dim: rotated, ...config }) => ({
    ...config,
    ...(typeof rotated === "number" &&
      { partial_rotary_factor: rotated / numberOf(config.head_dim ?? 128), rotary_dim: rotated }),
  }),
  plainHeads: "any",
  defaults: {
    ...llama.defaults,
    ...{ maxPositions: 196_608, ropeTheta: 5_000_000, kvHeads: 8, headDim: 128 },
  },
  settings: (config) => ({
    experts: {
      count: config.count("num_experts", 256),
      channels: config.count("intermediate_size"),
      routing: {
        topK: config.count("num_experts_per_tok", 8),
        softmaxOver: null,
        renormalised: true,
      },
    },
  }),
  packing: oneTensorEach("block_sparse_moe.", ["w1", "w3", "w2"]),
};
