import type { Family } from "./family.ts";
import { granite } from "./granite.ts";
import { graniteMoe } from "./granitemoe.ts";
import { withExperts } from "./mixture_blocks.ts";
import { wholeFrom0 } from "./mixture_layers.ts";

/** Granite 3 with mixtures of experts, and beside them an MLP that all tokens go through. */
export const graniteMoeShared: Family = {
  ...graniteMoe,
  modelType: "granitemoeshared",
  className: "GraniteMoeShared",
  blocks: withExperts(granite.blocks, {
    at: "block_sparse_moe.",
    router: "router.layer",
    ungated: "shared",
  }),
  settings: (config) => {
    const settings = graniteMoe.settings!(config);
    const shared = wholeFrom0(config, "shared_intermediate_size", 0);
    return {
      ...settings,
      experts: { ...settings.experts!, ...(shared > 0 && { sharedChannels: shared }) },
    };
  },
  packing: [
    ...graniteMoe.packing!,
    { tensor: "shared_mlp.input_linear.weight", weights: ["shared_gate", "shared_up"] },
    { tensor: "shared_mlp.output_linear.weight", weights: ["shared_down"] },
  ],
};
