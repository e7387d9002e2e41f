import type { ConfigReader } from "../config_reader.ts";
import type { Family } from "./family.ts";
import { olmo2 } from "./olmo2.ts";

/**
 * EXAONE 4 (arXiv 2507.11407): norms behind blocks; where some layers have windows, the others
 * rotate nothing.
 */
export const exaone4: Family = {
  ...olmo2,
  modelType: "exaone4",
  className: "Exaone4",
  has: { qkNorm: true },
  qkNormOver: "head",
  slidingWindow: "layer_types",
  slides: (layer, config) =>
    hasWindows(config) && (layer + 1) % config.count("sliding_window_pattern", 4) !== 0,
  defaults: { ...olmo2.defaults, kvHeads: 32, slidingWindow: 4096 },
  settings: (config) => ({
    attentionOf: (_, window) => window === null && hasWindows(config) ? { rope: null } : {},
  }),
};

function hasWindows({ config }: ConfigReader): boolean {
  return config.sliding_window !== null;
}
