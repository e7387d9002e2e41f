import { denseShape, type Shape, UnsupportedModelError, withShape } from "@lopper/core";
import { architectureFromConfig, configSchema } from "@lopper/models";
import { withAttention } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { checkSequenceLength } from "./sequence_length.ts";

const { architecture } = architectureFromConfig(
  configSchema.parse({
    model_type: "llama",
    hidden_size: 8,
    intermediate_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    vocab_size: 9,
  }),
  "config.json",
);

Deno.test("sequence length: only a layer that has attention, and a window, limits it", () => {
  const dense = denseShape(architecture.blocks);
  const check = (windows: readonly (number | null)[], length: number, shape: Shape = dense) =>
    checkSequenceLength(
      withShape(withAttention(architecture, (layer) => ({ window: windows[layer] })), shape),
      length,
    );
  check([null, null], 1e6);
  check([8, 8], 8);
  const without = dense.with(2, null);
  check([null, 8], 1e6, without);
  const beyond = [
    () => check([8, 8], 9),
    () => check([null, 8], 9),
    () => check([8, null], 9, without),
  ];
  for (const run of beyond) {
    assert.throws(run, (error) => {
      assert.ok(error instanceof UnsupportedModelError);
      assert.match(error.message, /last 8 tokens only .* has 9; .*--seq-len 8/);
      return true;
    });
  }
});
