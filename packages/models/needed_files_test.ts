import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { MemoryFolder } from "@lopper/formats";
import assert from "node:assert/strict";
import { neededFiles } from "./open_model.ts";

const CONFIG = JSON.stringify({
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 100,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
});
const INDEX = JSON.stringify({ weight_map: { a: "w-1.safetensors", b: "w-2.safetensors" } });

/** What is needed of a repository with these files; those without text are empty. */
async function needed(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  return await neededFiles(new MemoryFolder("org/m", files), Object.keys(files));
}
const without = (files: Readonly<Record<string, string>>, name: string) =>
  Object.fromEntries(Object.entries(files).filter(([other]) => other !== name));
const empty = (...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, ""])) as Record<string, string>;

Deno.test("needed files: one copy of the weights, and what goes along with them", async () => {
  const kept = [
    ...["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"],
    ...["additional_chat_templates/rag.jinja", "LICENSE", "README.md", "preprocessor_config.json"],
    ...["quanto_qmap.json", "model.safetensors"],
  ];
  const left = [
    ...["pytorch_model.bin", "pytorch_model.bin.index.json", "onnx/model.onnx", "model.gguf"],
    ...["modeling_own.py", "original/params.json", "params.json", "consolidated.00.pth"],
    ...["trainer_state.json", "picture.png", ".gitattributes", "runs/README.md", "tf_model.h5"],
    ...["1_Pooling/config.json", "model.fp16.safetensors", "adapter_model.safetensors"],
  ];
  const files = { ...empty(...left, ...kept), "config.json": CONFIG };
  assert.deepEqual((await needed(files)).toSorted(), kept.toSorted());
});

Deno.test("needed files: shards are those of the index, and all of them", async () => {
  const files = {
    ...empty("w-1.safetensors", "w-2.safetensors", "w-3.safetensors"),
    "config.json": CONFIG,
    "model.safetensors.index.json": INDEX,
  };
  const rest = without(files, "w-3.safetensors");
  assert.deepEqual((await needed(files)).toSorted(), Object.keys(rest).toSorted());
  const fewer = without(files, "w-2.safetensors");
  await assert.rejects(needed(fewer), /1 of 2 shards are missing: w-2\.safetensors/);
});

Deno.test("needed files: an ONNX decoder comes with its data, a GGUF file alone", async () => {
  const onnx = ["onnx/model.onnx", "onnx/model.onnx_data", "onnx/model.onnx_data_1"];
  const files = { ...empty(...onnx, "onnx/model_q4.onnx"), "config.json": CONFIG };
  assert.deepEqual((await needed(files)).toSorted(), [...onnx, "config.json"].toSorted());
  assert.deepEqual(await needed(empty("m.gguf", "README.md", "LICENSE")), ["m.gguf"]);
  const genai = JSON.stringify({
    model: {
      ...{ type: "llama", context_length: 9, vocab_size: 9 },
      decoder: {
        ...{ filename: "m.onnx", head_size: 8, hidden_size: 8, num_attention_heads: 1 },
        ...{ num_hidden_layers: 1, num_key_value_heads: 1 },
      },
    },
  });
  const built = { ...empty("m.onnx", "m.onnx.data"), "genai_config.json": genai };
  assert.deepEqual((await needed(built)).toSorted(), Object.keys(built).toSorted());
  await assert.rejects(needed(without(built, "m.onnx")), /there is no file m\.onnx/);
});

Deno.test("needed files: what Lopper does not open is refused before any weight is there", async () => {
  const refused = async (files: Readonly<Record<string, string>>, message: RegExp) =>
    await assert.rejects(needed(files), (error) => {
      assert.ok(
        error instanceof UnsupportedModelError || error instanceof CheckpointFormatError,
        String(error),
      );
      assert.match(error.message, message);
      return true;
    });
  const bert = { ...empty("model.safetensors"), "config.json": '{"model_type": "bert"}' };
  await refused(bert, /^org\/m\/config\.json: .*bert/);
  const pickled = { ...empty("pytorch_model.bin"), "config.json": CONFIG };
  await refused(pickled, /^org\/m\/pytorch_model\.bin: this is a pickled checkpoint/);
  await refused(empty("a.gguf", "b.gguf"), /2 GGUF files .* name the one to open \(a\.gguf and b/);
  await refused({ "config.json": CONFIG }, /neither model\.safetensors nor/);
  await refused(empty("README.md"), /there is no file config\.json/);
  await refused(empty("adapter_model.safetensors"), /this is a LoRA adapter/);
});
