import { UnsupportedModelError } from "@lopper/core";
import type { ConfigReader } from "../config_reader.ts";
import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

/** SmolLM3: a Llama without rotation in every fourth layer. */
export const smollm3: Family = {
  ...llama,
  modelType: "smollm3",
  className: "SmolLM3",
  slidingWindow: "layer_types",
  slides: (layer, config) => hasWindows(config) && !isRotated(layer, config),
  lists: { no_rope_layers: (layer, config) => isRotated(layer, config) ? 1 : 0 },
  plainHeads: "any",
  defaults: {
    ...llama.defaults,
    maxPositions: 32_768,
    tied: true,
    ropeTheta: 2_000_000,
    kvHeads: 4,
  },
  settings: (config) => ({
    attentionOf: (layer, window) => {
      // Programs differ in whether they have windows then.
      if (window !== null && !hasWindows(config)) {
        throw new UnsupportedModelError(
          `${config.file}: layer_types.${layer} is "sliding_attention", and use_sliding_window is ` +
            "not true; Lopper needs one or the other",
        );
      }
      return isRotated(layer, config) ? {} : { rope: null };
    },
  }),
};

function hasWindows(config: ConfigReader): boolean {
  return config.boolean("use_sliding_window", false) && config.has("sliding_window");
}

function isRotated(layer: number, config: ConfigReader): boolean {
  const listed = config.listOf("number", "no_rope_layers", config.count("num_hidden_layers"));
  if (listed) return listed[layer] !== 0;
  return (layer + 1) % config.count("no_rope_layer_interval", 4) !== 0;
}
