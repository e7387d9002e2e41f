import { MAX_LAYERS, type ModelConfig } from "../config_schema.ts";
import type { FoundWeight } from "./weight_uses.ts";

/**
 * The config of a graph that Lopper wrote, whose config.json counts only the layers that keep
 * attention, and has their largest sizes: with the layers that the graph's weights show. A layer in
 * the middle that has no weights computes nothing.
 */
export function withGraphLayers(config: ModelConfig, weights: readonly FoundWeight[]): ModelConfig {
  const { head_dim: headDim, layer_types: types, max_window_layers: unlimited } = config;
  if (!headDim) return config;
  const rows = new Map<string, number>();
  let count = 0;
  for (const { role, tensor: { shape }, transposed } of weights) {
    if (!("layer" in role) || role.layer >= MAX_LAYERS) continue;
    count = Math.max(count, role.layer + 1);
    rows.set(`${role.layer} ${role.weight}`, shape[transposed ? shape.length - 1 : 0]);
  }
  const layers = Array.from({ length: count }, (_, layer) => {
    const [q, k, gate] = ["q", "k", "gate"].map((weight) => rows.get(`${layer} ${weight}`));
    return {
      attention: q && k ? { query_heads: q / headDim, kv_heads: k / headDim } : null,
      mlp: gate ? { intermediate_size: gate } : null,
    };
  });
  const plain = layers.length === config.num_hidden_layers &&
    layers.every(({ attention, mlp }) =>
      attention?.query_heads === config.num_attention_heads &&
      attention.kv_heads === (config.num_key_value_heads ?? config.num_attention_heads) &&
      mlp?.intermediate_size === config.intermediate_size
    );
  if (plain || layers.length === 0) return config;
  let attentions = 0;
  const attending = layers.flatMap(({ attention }, layer) => attention ? [layer] : []);
  return {
    ...config,
    num_hidden_layers: layers.length,
    // Counted, too, among the layers that keep attention.
    ...(typeof unlimited === "number" && {
      max_window_layers: attending[unlimited] ?? layers.length,
    }),
    // The types of the layers that keep attention, one after the other.
    ...(types && {
      layer_types: layers.map(({ attention }) =>
        attention && types[attentions++] || "full_attention"
      ),
    }),
    lopper: { schema: 1, layers },
  };
}
