import { type AttentionWindows, shown, UnsupportedModelError, windowsOf } from "@lopper/core";
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
 * Which layers have a window: this is the one place that reads it of a config, and all else asks
 * the model's description.
 * @param file where the config came from, for messages.
 * @throws {UnsupportedModelError} for attention of another kind, or types of fewer or more layers
 *   than there are.
 */
export function windowsFromConfig(
  config: WindowKeys,
  { slidingWindow, defaults }: Family,
  file: string,
): AttentionWindows {
  const { num_hidden_layers: layers, layer_types: types } = config;
  if (slidingWindow === "never") return windowsOf([]);
  // An absent key means the family's default; only an explicit null means none.
  const declared = config.sliding_window === undefined
    ? defaults.slidingWindow
    : config.sliding_window;
  const each = (slides: (layer: number) => boolean) =>
    windowsOf(Array.from({ length: layers }, (_, layer) => slides(layer) ? declared : null));
  if (slidingWindow === "sliding_window") return each(() => true);

  const strange = types?.findIndex((type) => type !== FULL && type !== SLIDING) ?? -1;
  if (strange >= 0) {
    throw new UnsupportedModelError(
      `${file}: layer_types.${strange} is ${
        shown(types![strange])
      }; Lopper needs ${FULL} or ${SLIDING}`,
    );
  }
  if (!config.use_sliding_window || declared === null) return windowsOf([]);
  if (!types) {
    const first = config.max_window_layers ?? defaults.maxWindowLayers;
    return each((layer) => layer >= first);
  }
  if (types.length !== layers) {
    throw new UnsupportedModelError(
      `${file}: layer_types has ${types.length} entries; Lopper needs ${layers}, one a layer`,
    );
  }
  return each((layer) => types[layer] === SLIDING);
}
