import { shown, UnsupportedModelError } from "@lopper/core";
import { ConfigReader } from "./config_reader.ts";
import type { Family } from "./families/family.ts";

/** How transformers calls attention that reaches back all the way, and that which does not. */
export const FULL = "full_attention";
export const SLIDING = "sliding_attention";

/** Where a config.json says how far attention reaches back. */
export interface WindowKeys {
  readonly num_hidden_layers: number;
  readonly sliding_window?: number | null;
  readonly use_sliding_window?: boolean | null;
  readonly layer_types?: readonly string[] | null;
  readonly max_window_layers?: number | null;
}

/**
 * Tokens that attention reaches back in each layer, itself included, null for all: this is the one
 * place that reads it of a config, and all else asks the model's description.
 * @param file where the config came from, for messages.
 * @throws {UnsupportedModelError} for attention of another kind, or types of fewer or more layers
 *   than there are.
 */
export function windowsFromConfig(
  config: WindowKeys,
  family: Pick<Family, "slidingWindow" | "slides" | "defaults">,
  file: string,
): readonly (number | null)[] {
  const { num_hidden_layers: layers } = config;
  const { slidingWindow, defaults } = family;
  // An absent key means the family's default; only an explicit null means none.
  const declared = config.sliding_window === undefined
    ? defaults.slidingWindow
    : config.sliding_window || null;
  const each = (slides: (layer: number) => boolean) =>
    Array.from({ length: layers }, (_, layer) => slides(layer) ? declared : null);
  const none = each(() => false);
  switch (slidingWindow) {
    case "never":
      return none;
    case "sliding_window":
      return each(() => true);
    case "use_sliding_window": {
      const types = knownTypes(config, file);
      if (!config.use_sliding_window || declared === null) return none;
      const first = config.max_window_layers ?? defaults.maxWindowLayers;
      return each(types ? (layer) => types(layer) : (layer) => layer >= first);
    }
    case "layer_types": {
      const types = knownTypes(config, file);
      const slides = types ?? usualTypes(config, family, file);
      const windows = each(slides);
      const without = windows.findIndex((window, layer) => window === null && slides(layer));
      if (without < 0) return windows;
      throw new UnsupportedModelError(
        `${file}: sliding_window is null; Lopper needs a number of tokens, since layer ${without} ` +
          `is of ${SLIDING}`,
      );
    }
  }
}

/** Which layers have a window where `layer_types` does not say so. */
function usualTypes(
  config: WindowKeys,
  { slides }: Pick<Family, "slides">,
  file: string,
): (layer: number) => boolean {
  const reader = new ConfigReader({ ...config }, file);
  return (layer) => slides?.(layer, reader) ?? false;
}

/**
 * Which layers `layer_types` says to have a window; null where there is no such list. Its length is
 * asked for with the first layer.
 */
function knownTypes(
  { num_hidden_layers: layers, layer_types: types }: WindowKeys,
  file: string,
): ((layer: number) => boolean) | null {
  if (!types) return null;
  const strange = types.findIndex((type) => type !== FULL && type !== SLIDING);
  if (strange >= 0) {
    throw new UnsupportedModelError(
      `${file}: layer_types.${strange} is ${
        shown(types[strange])
      }; Lopper needs ${FULL} or ${SLIDING}`,
    );
  }
  return (layer) => {
    if (types.length === layers) return types[layer] === SLIDING;
    throw new UnsupportedModelError(
      `${file}: layer_types has ${types.length} entries; Lopper needs ${layers}, one a layer`,
    );
  };
}
