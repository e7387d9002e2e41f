import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { checkConfig } from "./config_kind.ts";
import { FAMILIES } from "./families/mod.ts";
import { MemoryFolder } from "@lopper/formats";
import { openModel } from "./open_model.ts";
import { float32Tensor, tinyGguf } from "./testing/tiny_gguf.ts";
import assert from "node:assert/strict";

const FILE = "m/config.json";
const READ = FAMILIES.map(({ modelType }) => modelType).join(", ");

function refuses(config: Record<string, unknown>, message: RegExp) {
  assert.throws(() => checkConfig(config, FILE), (error) => {
    assert.ok(error instanceof UnsupportedModelError, String(error));
    assert.match(error.message, message);
    assert.match(error.message, /^m\/config\.json: /);
    assert.ok(error.message.length < 600, `${error.message.length} characters`);
    return true;
  });
}

Deno.test("config: the kind of model comes before any other key", () => {
  refuses({ model_type: "bloom", n_embd: 32 }, new RegExp(`is "bloom"; Lopper reads ${READ}$`));
  refuses({ model_type: "bloom", quantization_config: { bits: 4 } }, /model_type is "bloom"/);
  refuses({}, new RegExp(`there is no model_type; Lopper reads those of ${READ}$`));
  refuses({ model_type: null, architectures: ["A"] }, /no model_type, only architectures \["A"\]/);
  refuses({ model_type: "x".repeat(20_000) }, /model_type is "x+…; Lopper reads/);
  refuses(
    { model_type: "fuyu", text_config: { model_type: "persimmon" }, vision_config: {} },
    /model_type is "fuyu", a model of more than text, whose part for text is "persimmon"; .* gemma3,/,
  );
  // as of an ONNX decoder
  refuses({ model_type: "gemma3", text_config: {} }, /"gemma3", .* from safetensors alone$/);
  // of a hybrid, the first layer that is why
  const hybrid = (types: Record<string, unknown>, why: RegExp) =>
    refuses({ model_type: "mamba_of_sorts", ...types }, why);
  const full = "full_attention";
  hybrid({ layer_types: [full, "conv"] }, /"mamba_of_sorts": layer 1 is "conv", and Lopper/);
  hybrid({ layers_block_type: ["mamba", "attention"] }, /: layer 0 is "mamba", and Lopper/);
  hybrid({ layer_types: [full, 7] }, /: layer 1 is 7, and Lopper/);
  hybrid({ layer_types: [full, "sliding_attention"] }, /is "mamba_of_sorts"; Lopper reads/);
  hybrid({ layer_types: "odd" }, /is "mamba_of_sorts"; Lopper reads/);
  refuses({ model_type: "clap", audio_config: {} }, /is "clap", a model of more than text; /);
  refuses({ model_type: "lopper_bloom" }, /model_type is "bloom"/);
  assert.throws(() => checkConfig({ model_type: "llama" }, FILE), CheckpointFormatError);
});

Deno.test("config: quantised weights are named by their method, in one sentence of any config", () => {
  const quantised = (quantization_config: unknown, how: string) =>
    refuses(
      { model_type: "llama", quantization_config },
      new RegExp(`the weights are quantised${how}; Lopper prunes .*: open the checkpoint`),
    );
  quantised({ quant_method: "gptq", bits: 4 }, " \\(GPTQ, 4 bits\\)");
  quantised({ quant_method: "AWQ", w_bit: 4 }, " \\(AWQ, 4 bits\\)");
  quantised({ quant_method: "fp8", weight_block_size: [128, 128] }, " \\(FP8\\)");
  quantised(
    { quant_method: "bitsandbytes", load_in_4bit: true, load_in_8bit: false },
    " \\(bitsandbytes, 4 bits\\)",
  );
  const groups = { group_0: { targets: ["Linear"], weights: { num_bits: 8 } } };
  const ignore = Array.from({ length: 500 }, (_, i) => `model.layers.${i}.self_attn.q_proj`);
  quantised(
    { quant_method: "compressed-tensors", config_groups: groups, ignore },
    " \\(compressed-tensors, 8 bits\\)",
  );
  quantised({ quant_method: "y".repeat(9000) }, " \\(y+\\)");
  quantised({}, "");
  quantised("odd", "");
  // which one family has, and no other
  const mxfp4 = { quantization_config: { quant_method: "mxfp4" } };
  refuses({ model_type: "llama", ...mxfp4 }, /the weights are quantised \(MXFP4\)/);
  refuses({ model_type: "gpt_oss", quantization_config: { quant_method: "fp8" } }, /\(FP8\)/);
  refuses({ model_type: "gpt_oss", ...mxfp4, quantization: { bits: 4 } }, /\(4 bits\)/);
  // under the keys of MLX and of older compressed-tensors
  refuses({ model_type: "llama", quantization: { bits: 4 } }, /quantised \(4 bits\)/);
  refuses({ model_type: "qwen3", compression_config: { quant_method: "x" } }, /quantised \(x\)/);
});

Deno.test("kind: what genai_config.json and GGUF files are of comes first, too", async () => {
  const of = (folder: MemoryFolder, message: RegExp) =>
    assert.rejects(openModel(folder), (error) => {
      assert.ok(error instanceof UnsupportedModelError, String(error));
      assert.match(error.message, message);
      return true;
    });
  await of(
    new MemoryFolder("m", { "genai_config.json": '{"model":{"type":"whisper"}}' }),
    /genai_config\.json: model_type is "whisper"; Lopper reads/,
  );
  await of(
    new MemoryFolder("m", {
      "config.json": '{"model_type":"bloom"}',
      "model.onnx": "no graph",
    }),
    /config\.json: model_type is "bloom"; Lopper reads/,
  );
  // a tensor of a type that is not read, in a file of an architecture that is not
  const strange = { ...float32Tensor("x", [32, 32], []), type: 39 };
  const gguf = tinyGguf({
    entries: [["general.architecture", "string", "gpt-oss"]],
    tensors: [strange],
  });
  await of(new MemoryFolder("m", { "m.gguf": gguf }), /general\.architecture is "gpt-oss"; Lopper/);
});
