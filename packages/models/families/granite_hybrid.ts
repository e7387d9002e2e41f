import type { Family } from "./family.ts";
import { granite } from "./granite.ts";
import { renamed } from "./llama_blocks.ts";

/**
 * Granite 4 without Mamba and without experts, which its smaller models come as: a Granite 3 whose
 * MLPs are what others of it have beside their experts, and some of which rotate nothing.
 */
export const graniteHybrid: Family = {
  ...granite,
  modelType: "granitemoehybrid",
  className: "GraniteMoeHybrid",
  hybrid: true,
  blocks: renamed(granite.blocks, {
    mlp: {
      gate: "shared_mlp.gate_proj.weight",
      up: "shared_mlp.up_proj.weight",
      down: "shared_mlp.output_linear.weight",
    },
  }),
  has: { ...granite.has, mlpBias: false },
  // What is called intermediate_size there is that of experts.
  keys: { intermediate_size: "shared_intermediate_size" },
  alsoNamed: { layer_types: "layers_block_type" },
  settings: (config) => {
    config.only("num_local_experts", 0);
    // Its absence means some.
    config.number("num_local_experts");
    config.only("position_embedding_type", "rope", "nope");
    const { attention, ...rest } = granite.settings!(config);
    const rotates = config.text("position_embedding_type", "nope") === "rope";
    return { ...rest, attention: { ...attention, ...(!rotates && { rope: null }) } };
  },
  packing: [{ tensor: "shared_mlp.input_linear.weight", weights: ["gate", "up"] }],
};
