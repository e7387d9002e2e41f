import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { architectureFromConfig } from "./config.ts";
import { checkConfig } from "./config_kind.ts";
import { configText } from "./config_text.ts";
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
    // Beside the families that are read, which a person may want to see: a sentence.
    const own = error.message.replace(READ, "");
    assert.ok(own.length < 300, `${own.length} characters`);
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
  hybrid({ layer_types: [full, "conv"] }, /"mamba_of_sorts": layer 1 is "conv" \(a short/);
  hybrid({ layers_block_type: ["mamba", "attention"] }, /: layer 0 is "mamba" \(a state space/);
  hybrid(
    { layer_types: [full, 7] },
    /: layer 1 is 7; Lopper needs full or sliding attention in every layer/,
  );
  hybrid({ layer_types: [full, "linear_attention"] }, /: layer 1 is "linear_attention"; Lopper/);
  hybrid({ layer_types: [full, "sliding_attention"] }, /is "mamba_of_sorts"; Lopper reads/);
  hybrid({ layer_types: "odd" }, /is "mamba_of_sorts"; Lopper reads/);
  hybrid({ hybrid_override_pattern: "*x" }, /: layer 1 is "x"; Lopper needs/);
  // families that people know, by what of them is not computed
  const lacks = (model_type: string, what: RegExp) =>
    refuses(
      { model_type },
      new RegExp(`"${model_type}", of which .*${what.source}.*; Lopper reads`),
    );
  lacks("phimoe", /does not compute that each expert .*SparseMixer/);
  lacks("deepseek_v3", /one compressed state/);
  lacks("gemma3n_text", /AltUp/);
  refuses({ model_type: "phimoe_2" }, /is "phimoe_2"; Lopper reads/);
  refuses({ model_type: "clap", audio_config: {} }, /is "clap", a model of more than text; /);
  refuses({ model_type: "lopper_bloom" }, /model_type is "bloom"/);
  assert.throws(() => checkConfig({ model_type: "llama" }, FILE), CheckpointFormatError);
});

Deno.test("config: hybrids as they are published are refused by the first layer that is no attention", () => {
  const needs =
    "; Lopper needs full or sliding attention in every layer, since it scores what it computes$";
  const of = (json: Record<string, unknown>, layer: string) =>
    refuses(json, new RegExp(`model_type is "${json.model_type}": layer ${layer}${needs}`));
  const delta = '0 is "linear_attention" \\(a gated delta net\\)';
  // Qwen3.5: its part for text, with a list, and with an interval or without either
  const qwen = { hidden_size: 4096, model_type: "qwen3_5_text", num_hidden_layers: 32 };
  const three = ["linear_attention", "linear_attention", "linear_attention", "full_attention"];
  const images = { model_type: "qwen3_5", image_token_id: 248056, vision_config: { depth: 27 } };
  of({ ...images, text_config: { ...qwen, layer_types: three } }, delta);
  of({ ...images, text_config: { ...qwen, full_attention_interval: 4 } }, delta);
  of({ ...qwen }, delta);
  of({ ...qwen, model_type: "qwen3_next", full_attention_interval: 4 }, delta);
  // LFM2: a list of types, or of the layers with attention
  const conv = '\\d is "conv" \\(a short convolution\\)';
  const lfm2 = { model_type: "lfm2", conv_L_cache: 3, hidden_size: 1024, num_hidden_layers: 16 };
  of({ ...lfm2, layer_types: ["conv", "conv", "full_attention"] }, conv.replace("\\d", "0"));
  of({ ...lfm2, full_attn_idxs: [0, 1, 2, 5, 8, 10, 12, 14] }, conv.replace("\\d", "3"));
  const text_config = { ...lfm2, full_attn_idxs: [2, 5] };
  of({ model_type: "lfm2_vl", text_config, vision_config: {} }, conv.replace("\\d", "0"));
  // Granite 4: with Mamba, as a list has it and where there is none
  const granite = {
    ...{ model_type: "granitemoehybrid", mamba_d_conv: 4, num_hidden_layers: 40 },
    ...{ num_local_experts: 64, position_embedding_type: "nope", shared_intermediate_size: 1024 },
  };
  const mamba = 'is "mamba" \\(a state space, Mamba\\)';
  of({ ...granite, layer_types: ["attention", "mamba", "mamba"] }, `1 ${mamba}`);
  of(granite, `0 ${mamba}`);
  // Nemotron-H: a letter a layer, or a list
  const nemotron = { model_type: "nemotron_h", mamba_head_dim: 64, num_hidden_layers: 5 };
  of({ ...nemotron, hybrid_override_pattern: "M-M*-" }, `0 ${mamba.replace("mamba", "M")}`);
  of(
    { ...nemotron, hybrid_override_pattern: "*-M" },
    '1 is "-" \\(an MLP without attention before it\\)',
  );
  of(
    { ...nemotron, layers_block_type: ["full_attention", "linear_attention"] },
    '1 is "linear_attention" \\(a state space, Mamba\\)',
  );
});

Deno.test("config: a Granite 4 of attention alone is read, and one with experts refused by them", () => {
  const config = {
    ...{ model_type: "granitemoehybrid", hidden_size: 64, num_hidden_layers: 2, vocab_size: 80 },
    ...{ num_attention_heads: 4, num_key_value_heads: 2, shared_intermediate_size: 48 },
    ...{ layer_types: ["attention", "attention"], num_local_experts: 0 },
  };
  const described = (change: Record<string, unknown>) =>
    architectureFromConfig(checkConfig({ ...config, ...change }, FILE), FILE).architecture;
  const ropeOf = (change: Record<string, unknown>) => described(change).blocks[0].attention!.rope;
  assert.equal(ropeOf({}), null);
  assert.equal(ropeOf({ position_embedding_type: "nope" }), null);
  assert.equal(ropeOf({ position_embedding_type: "rope", rope_theta: 7 })!.theta, 7);
  const { blocks } = described({ intermediate_size: 999 });
  assert.deepEqual(blocks[1].dimensions, [{ name: "channels", units: 48 }]);
  const { layer_types, ...rest } = config;
  const { layer_types: types } = checkConfig({ ...rest, layers_block_type: layer_types }, FILE);
  assert.deepEqual(types, layer_types);
  // transformers takes no 0 for a 0.0 there
  const text = configText({ ...config, time_step_limit: [0, { __float__: "Infinity" }] });
  assert.match(text, /"time_step_limit": \[\n {4}0\.0,\n/);
  assert.throws(
    () => described({ num_local_experts: 8 }),
    /num_local_experts is 8; Lopper needs 0/,
  );
  assert.throws(
    () => described({ num_local_experts: undefined }),
    /num_local_experts: it is missing/,
  );
  assert.throws(() => described({ position_embedding_type: "alibi" }), /is "alibi"; .* "rope"/);
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
  const strange = { ...float32Tensor("x", [32, 32], []), type: 4 };
  const gguf = tinyGguf({
    entries: [["general.architecture", "string", "mamba"]],
    tensors: [strange],
  });
  await of(new MemoryFolder("m", { "m.gguf": gguf }), /general\.architecture is "mamba"; Lopper/);
});
