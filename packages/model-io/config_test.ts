import { UnsupportedModelError } from "@lopper/core";
import assert from "node:assert/strict";
import { configSchema, prunedConfig, specFromConfig } from "./config.ts";
import { checkConfig } from "./config_kind.ts";

const LLAMA = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 160,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 100,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
};
const FILE = "m/config.json";
const parse = (change: Record<string, unknown>) =>
  specFromConfig(checkConfig({ ...LLAMA, ...change }, FILE), FILE).spec;

const REFUSED: readonly [Record<string, unknown>, RegExp][] = [
  [{ model_type: "gpt2" }, /model_type is "gpt2"; Lopper reads llama, mistral, qwen2, qwen3/],
  [{ hidden_act: "gelu" }, /hidden_act is "gelu"/],
  [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0\.5/],
  [{ rope_scaling: { type: "yarn", factor: 4 } }, /rope scaling is "yarn"/],
  [{ rope_parameters: { rope_type: "dynamic" } }, /rope scaling is "dynamic"/],
  [{ rope_scaling: { type: "linear" } }, /"linear" lacks factor/],
  [{ model_type: "qwen2" }, /num_key_value_heads is null/],
  [{ head_dim: 15 }, /head_dim is 15; .*even whole number/],
  [{ num_attention_heads: 3 }, /head_dim is 21\.3/],
  [{ num_key_value_heads: 3 }, /num_attention_heads is 4; .*multiple of num_key_value_heads, 3/],
  [
    { lopper: { schema: 1, layers: [{ attention: null, mlp: null }] } },
    /lopper\.layers is 1; Lopper needs 2 entries/,
  ],
];
for (const [change, message] of REFUSED) {
  Deno.test(`config: ${JSON.stringify(change)} is refused by name`, () => {
    assert.throws(() => parse(change), (error) => {
      assert.ok(error instanceof UnsupportedModelError, String(error));
      assert.match(error.message, message);
      assert.match(error.message, /^m\/config\.json: /);
      return true;
    });
  });
}

Deno.test("config: what a family leaves out means what transformers means by it", () => {
  assert.deepEqual(parse({}).layers[0].attention, { queryHeads: 4, kvHeads: 4 });
  assert.equal(parse({}).headDim, 16);
  assert.equal(parse({}).tiedEmbeddings, false);
  assert.equal(parse({}).rope.theta, 10_000);
  assert.equal(parse({ rope_theta: 5e5 }).rope.theta, 5e5);
  assert.equal(parse({ rope_parameters: { rope_theta: 7 } }).rope.theta, 7);
  const mistral = { model_type: "mistral", num_key_value_heads: 2 };
  assert.equal(parse(mistral).slidingWindow, 4096);
  assert.equal(parse({ ...mistral, sliding_window: null }).slidingWindow, null);
  assert.equal(parse({ ...mistral, sliding_window: 8 }).slidingWindow, 8);
  const qwen2 = { model_type: "qwen2", num_key_value_heads: 2, sliding_window: 8 };
  assert.equal(parse(qwen2).slidingWindow, null);
  assert.equal(parse({ ...qwen2, use_sliding_window: true }).slidingWindow, 8);
  assert.deepEqual(parse(qwen2).biases, { qkv: true, output: false, mlp: false });
  assert.equal(parse({ model_type: "qwen3", num_key_value_heads: 2 }).headDim, 128);
  assert.deepEqual(parse({ eos_token_id: [1, 2] }).eosTokenIds, [1, 2]);
  assert.deepEqual(parse({ eos_token_id: 0 }).eosTokenIds, [0]);
});

Deno.test("config: a uniform result is plain, another lists its layers and reads back", () => {
  const spec = parse({});
  const layer = { attention: { queryHeads: 2, kvHeads: 2 }, mlp: { intermediateSize: 96 } };
  const uniform = { ...spec, layers: [layer, layer] };
  const plain = prunedConfig(LLAMA, uniform, true);
  assert.equal(plain.lopper, undefined);
  assert.deepEqual(specFromConfig(configSchema.parse(plain), "c").spec, uniform);
  const mixed = { ...spec, layers: [{ attention: null, mlp: layer.mlp }, { ...layer, mlp: null }] };
  const listed = prunedConfig({ ...LLAMA, extra: "kept" }, mixed, false);
  assert.equal(listed.extra, "kept");
  assert.deepEqual(specFromConfig(configSchema.parse(listed), "c").spec, mixed);
});

Deno.test("config: rotary settings are written under the keys of earlier readers, too", () => {
  const written = (change: Record<string, unknown>) => {
    const config = { ...LLAMA, ...change };
    return prunedConfig(config, parse(change), true);
  };
  const base = { rope_theta: 7, rope_type: "default" };
  // what a reader of the earlier keys alone computes is what a reader of all of them does
  const plain = written({ rope_parameters: base, rope_theta: 9 });
  assert.deepEqual(plain.rope_parameters, base);
  assert.deepEqual([plain.rope_theta, plain.rope_scaling], [7, undefined]);
  const scaled = written({ rope_parameters: { ...base, rope_type: "linear", factor: 2 } });
  const { rope_parameters: _, ...earlier } = scaled;
  assert.deepEqual(parse(earlier).rope, { theta: 7, scaling: { type: "linear", factor: 2 } });
  assert.deepEqual(parse(scaled).rope, parse(earlier).rope);
  assert.equal("rope_theta" in written({}), false);
});
