import {
  type AttentionWindows,
  denseShape,
  type Shape,
  UnsupportedModelError,
  withShape,
} from "@lopper/core";
import { architectureFromConfig, configSchema } from "@lopper/models";
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
  const check = (windows: AttentionWindows, length: number, shape: Shape = dense) =>
    checkSequenceLength(withShape({ ...architecture, ...windows }, shape), length);
  check({ slidingWindow: null }, 1e6);
  check({ slidingWindow: 8, fullAttention: [0, 1] }, 1e6);
  check({ slidingWindow: 8 }, 8);
  const without = dense.with(2, null);
  check({ slidingWindow: 8, fullAttention: [0] }, 1e6, without);
  const beyond = [
    () => check({ slidingWindow: 8 }, 9),
    () => check({ slidingWindow: 8, fullAttention: [0] }, 9),
    () => check({ slidingWindow: 8, fullAttention: [1] }, 9, without),
  ];
  for (const run of beyond) {
    assert.throws(run, (error) => {
      assert.ok(error instanceof UnsupportedModelError);
      assert.match(error.message, /last 8 tokens only .* has 9; .*--seq-len 8/);
      return true;
    });
  }
});
