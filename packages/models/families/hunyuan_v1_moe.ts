import type { Family } from "./family.ts";
import { hunyuanDense, withStretchedBase } from "./hunyuan_v1_dense.ts";
import { oneTensorEach, withExperts } from "./mixture_blocks.ts";

/** Keys that published configs have as a list, with an entry a layer. */
const BY_LAYER = ["moe_topk", "num_shared_expert"] as const;

/**
 * Hunyuan-A13B: a mixture in every layer, beside an MLP for all tokens that is as wide as one of
 * the experts.
 */
export const hunyuanMoe: Family = {
  ...hunyuanDense,
  modelType: "hunyuan_v1_moe",
  className: "HunYuanMoEV1",
  blocks: withExperts(hunyuanDense.blocks, {
    at: "mlp.",
    router: "gate.wg",
    ungated: "shared_mlp",
  }),
  keys: { num_experts_per_tok: "moe_topk" },
  usual: ({ moe_intermediate_size: width, ...config }) => ({
    ...withStretchedBase(config),
    ...Object.fromEntries(
      ["num_experts_per_tok", ...BY_LAYER].flatMap((key) =>
        Object.hasOwn(config, key) ? [[key, oneOf(config[key])]] : []
      ),
    ),
    // What it says twice is left out; anything else is refused.
    ...(width !== undefined && oneOf(width) !== config.intermediate_size &&
      { moe_intermediate_size: oneOf(width) }),
  }),
  settings: (config) => {
    config.only("moe_intermediate_size");
    config.only("num_shared_expert", 1);
    config.only("use_mixed_mlp_moe", true);
    config.only("use_cla", false);
    return {
      ...hunyuanDense.settings!(config),
      experts: {
        count: config.count("num_experts", 1),
        channels: config.count("intermediate_size"),
        sharedExperts: 1,
        routing: {
          topK: config.count("num_experts_per_tok", 1),
          softmaxOver: "all",
          renormalised: true,
        },
      },
    };
  },
  packing: oneTensorEach("mlp.", ["gate_proj", "up_proj", "down_proj"]),
};

/** What all entries of a list are; the list where they differ. */
function oneOf(value: unknown): unknown {
  if (!Array.isArray(value) || value.length === 0) return value;
  return value.every((entry) => entry === value[0]) ? value[0] : value;
}
