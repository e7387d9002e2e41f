import type { Family } from "./family.ts";
import { granite } from "./granite.ts";
import { withExperts } from "./mixture_blocks.ts";

/** Granite 3 with mixtures of experts in place of its MLPs. */
export const graniteMoe: Family = {
  ...granite,
  modelType: "granitemoe",
  className: "GraniteMoe",
  blocks: withExperts(granite.blocks, { at: "block_sparse_moe.", router: "router.layer" }),
  has: { ...granite.has, mlpBias: false },
  keys: { num_experts: "num_local_experts" },
  settings: (config) => ({
    ...granite.settings!(config),
    experts: {
      count: config.count("num_experts", 8),
      channels: config.count("intermediate_size"),
      routing: { topK: config.count("num_experts_per_tok", 2), softmaxOver: "chosen" },
    },
  }),
  packing: [
    {
      tensor: "block_sparse_moe.input_linear.weight",
      kind: "experts",
      weights: ["gate", "up"],
      stacked: true,
    },
    {
      tensor: "block_sparse_moe.output_linear.weight",
      kind: "experts",
      weights: ["down"],
      stacked: true,
    },
  ],
};
