import { denseShape, UnsupportedModelError } from "@lopper/core";
import { MemorySource } from "@lopper/formats";
import { tinyGguf } from "../testing/tiny_gguf.ts";
import { openGgufModel } from "./gguf_model.ts";
import assert from "node:assert/strict";

/** The tiny model as deci, with a second layer of these numbers that has no tensors. */
function deci(heads: number, kvHeads: number, width: number) {
  const counts = (name: string, values: readonly number[]) =>
    [`deci.${name}`, "array", "int32", values] as const;
  const bytes = tinyGguf({
    entries: [
      ["general.architecture", "string", "deci"],
      ["deci.block_count", "uint32", 2],
      ["deci.context_length", "uint32", 64],
      ["deci.embedding_length", "uint32", 32],
      ["deci.attention.key_length", "uint32", 8],
      ["deci.attention.layer_norm_rms_epsilon", "float32", 1e-5],
      counts("attention.head_count", [4, heads]),
      counts("attention.head_count_kv", [2, kvHeads]),
      counts("feed_forward_length", [64, width]),
    ],
  });
  return openGgufModel(new MemorySource("m.gguf", bytes));
}

Deno.test("GGUF deci: a layer without numbers has no blocks", async () => {
  const model = await deci(0, 0, 0);
  assert.equal(model.architecture.layerCount, 2);
  assert.deepEqual(model.architecture.blocks.map(({ id }) => id), ["0.attention", "0.mlp"]);
  assert.deepEqual(denseShape(model.architecture.blocks), [{ kvGroups: 2 }, { channels: 64 }]);
  model[Symbol.dispose]();
});

Deno.test("GGUF deci: attention that mixes no tokens, or that llama.cpp loses, is refused", async () => {
  const refuses = (message: RegExp, ...numbers: [number, number, number]) =>
    assert.rejects(
      deci(...numbers),
      (error) => error instanceof UnsupportedModelError && message.test(error.message),
    );
  await refuses(/head_count_kv is 0 for layer 1/, 4, 0, 64);
  await refuses(/feed_forward_length is 0 for layer 1/, 4, 2, 0);
});
