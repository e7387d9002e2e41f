import type { Family } from "./family.ts";
import { mistral } from "./mistral.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";

/** Mixtral (arXiv 2401.04088): a Mistral with mixtures of experts in place of its MLPs. */
export const mixtral: Family = {
  ...mistral,
  modelType: "mixtral",
  className: "Mixtral",
  blocks: withExperts(mistral.blocks, { at: "block_sparse_moe." }),
  keys: { num_experts: "num_local_experts" },
  defaults: {
    ...mistral.defaults,
    rmsNormEps: 1e-5,
    ropeTheta: 1_000_000,
    slidingWindow: null,
  },
  settings: (config) => ({
    experts: {
      count: config.count("num_experts", 8),
      channels: config.count("intermediate_size"),
      routing: {
        topK: config.count("num_experts_per_tok", 2),
        softmaxOver: "all",
        renormalised: true,
      },
    },
  }),
  packing: oneTensorEach("block_sparse_moe.", ["w1", "w3", "w2"]),
};
