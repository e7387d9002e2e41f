import type { Model, ModelConfig } from "@lopper/model-io";

/** The default of the families that have the key (transformers, `Qwen2Config`). */
const DEFAULT_MAX_WINDOW_LAYERS = 28;

/**
 * Tokens that the attention of each layer reaches back, itself included, or null for all. In Mistral all layers have the
 * window; in Qwen those that `layer_types` names, or without it those from `max_window_layers` on.
 */
export function attentionWindows({ spec, family, config }: Model): readonly (number | null)[] {
  const window = spec.slidingWindow;
  if (window === null || family.slidingWindow !== "use_sliding_window") {
    return spec.layers.map(() => window);
  }
  // openModel has checked it.
  const { layer_types, max_window_layers } = config as ModelConfig;
  return spec.layers.map((_, layer) => {
    const slides = layer_types
      ? layer_types[layer] === "sliding_attention"
      : layer >= (max_window_layers ?? DEFAULT_MAX_WINDOW_LAYERS);
    return slides ? window : null;
  });
}
