import assert from "node:assert/strict";
import type { ModelConfig } from "../config_schema.ts";
import { withGraphLayers } from "./layers.ts";
import type { FoundWeight } from "./weight_uses.ts";

/** A weight that was found, of as many rows. */
const weight = (layer: number, name: string, rows: number) =>
  ({
    role: { part: name === "gate" ? "mlp" : "attention", layer, weight: name },
    tensor: { shape: [rows, 8] },
    transposed: false,
  }) as unknown as FoundWeight;

Deno.test("ONNX layers: what the config counts among layers with attention is counted among all again", () => {
  const config = {
    model_type: "qwen2",
    head_dim: 4,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    intermediate_size: 16,
  } as ModelConfig;
  // layer 1 has an MLP alone
  const found = [0, 1, 2].flatMap((layer) => [
    ...(layer === 1 ? [] : [weight(layer, "q", 8), weight(layer, "k", 4)]),
    weight(layer, "gate", 16),
  ]);
  const read = (more: Partial<ModelConfig>) => withGraphLayers({ ...config, ...more }, found);
  assert.deepEqual(
    [0, 1, 2, 9].map((count) => read({ max_window_layers: count }).max_window_layers),
    [0, 2, 3, 3],
  );
  const [full, slides] = ["full_attention", "sliding_attention"];
  assert.deepEqual(read({ layer_types: [full, slides] }).layer_types, [full, full, slides]);
  assert.equal("max_window_layers" in read({}), false);
});
