import { withAttention } from "./testing/mod.ts";
import {
  type Architecture,
  attentionWindow,
  denseShape,
  firstRope,
  fullyAttended,
  haveWeight,
  headsOf,
  keepLayers,
  sizeOf,
  UnsupportedModelError,
  withShape,
} from "@lopper/core";
import { architectureFromConfig } from "./config.ts";
import { configSchema } from "./config_schema.ts";
import { checkConfig } from "./config_kind.ts";
import { configText } from "./config_text.ts";
import { llama } from "./families/llama.ts";
import { writtenConfig } from "./written_config.ts";
import assert from "node:assert/strict";

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
  architectureFromConfig(checkConfig({ ...LLAMA, ...change }, FILE), FILE).architecture;
const written = (config: Readonly<Record<string, unknown>>, architecture: Architecture) =>
  writtenConfig({ config, architecture, family: llama });

const QWEN2 = {
  model_type: "qwen2",
  num_key_value_heads: 2,
  use_sliding_window: true,
  sliding_window: 9,
};

const REFUSED: readonly [Record<string, unknown>, RegExp][] = [
  [
    { model_type: "bloom" },
    /model_type is "bloom"; Lopper reads llama, mistral, qwen2, qwen3, olmo2/,
  ],
  [{ hidden_act: "mish" }, /hidden_act is "mish"/],
  [{ partial_rotary_factor: 0.2 }, /partial_rotary_factor is 0\.2, which makes 3 of 16 channels/],
  [{ rope_parameters: { rope_type: "dynamic" } }, /rope scaling is "dynamic"/],
  [{ rope_scaling: { type: "linear" } }, /"linear" lacks factor/],
  [{ model_type: "qwen2" }, /num_attention_heads is 4; .*multiple of num_key_value_heads, 32/],
  [
    { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_theta: 7 } },
    /rope_scaling and rope_parameters differ, .*Lopper needs one/,
  ],
  [
    { rope_parameters: { sliding_attention: { rope_theta: 7 } } },
    /rope_parameters has no settings for layers of full_attention/,
  ],
  [{ ...QWEN2, layer_types: ["full_attention"] }, /layer_types has 1 entries; Lopper needs 2/],
  [
    { ...QWEN2, layer_types: ["full_attention", "chunked_attention"] },
    /layer_types\.1 is "chunked_attention"; Lopper needs full_attention or sliding_attention/,
  ],
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
  const meant = (change: Record<string, unknown>) => {
    const { maxPositions, norm, headDim, blocks: [attention] } = parse({
      max_position_embeddings: undefined,
      rms_norm_eps: undefined,
      num_attention_heads: 32,
      hidden_size: 128,
      ...change,
    });
    return [
      maxPositions,
      norm.eps,
      attention.attention!.rope!.theta,
      headDim,
      headsOf(attention).kvHeads,
    ];
  };
  // values of transformers 5.24's LlamaConfig, MistralConfig, Qwen2Config and Qwen3Config
  assert.deepEqual(meant({}), [2048, 1e-6, 10_000, 4, 32]);
  assert.deepEqual(meant({ model_type: "mistral" }), [131_072, 1e-6, 10_000, 4, 8]);
  assert.deepEqual(meant({ model_type: "qwen2" }), [32_768, 1e-6, 10_000, 4, 32]);
  assert.deepEqual(meant({ model_type: "qwen3" }), [32_768, 1e-6, 10_000, 128, 32]);
  // where there are fewer query heads, a null is not the default
  const few = { model_type: "mistral", num_attention_heads: 4, num_key_value_heads: null };
  assert.deepEqual(meant(few), [131_072, 1e-6, 10_000, 32, 4]);
  assert.deepEqual(headsOf(parse({}).blocks[0]), { queryHeads: 4, kvHeads: 4, headDim: 16 });
  assert.equal(parse({}).tiedEmbeddings, false);
  const biases = parse({ model_type: "qwen2", num_key_value_heads: 2 }).blocks
    .flatMap(({ weights }) => weights.filter(({ name }) => name.endsWith("_bias")));
  const names = ["q_bias", "k_bias", "v_bias"];
  assert.deepEqual(biases.map(({ name }) => name), [...names, ...names]);
  assert.deepEqual(parse({ eos_token_id: [1, 2] }).eosTokenIds, [1, 2]);
  assert.deepEqual(parse({ eos_token_id: 0 }).eosTokenIds, [0]);
});

Deno.test("config: a null says what absence says, and swish is silu", () => {
  const nulls = {
    attention_bias: null,
    head_dim: null,
    hidden_act: null,
    max_position_embeddings: null,
    mlp_bias: null,
    num_key_value_heads: null,
    partial_rotary_factor: null,
    rms_norm_eps: null,
    rope_parameters: null,
    rope_scaling: null,
    rope_theta: null,
    tie_word_embeddings: null,
    use_sliding_window: null,
  };
  const absent = Object.fromEntries(Object.keys(nulls).map((key) => [key, undefined]));
  assert.deepEqual(parse(nulls), parse(absent));
  assert.deepEqual(parse({ hidden_act: "swish" }), parse({}));
  // what is written says what was meant, for readers that know no defaults and take no nulls
  const config = written(
    checkConfig({ ...LLAMA, ...nulls, hidden_act: "swish" }, FILE),
    parse(nulls),
  );
  assert.equal(config.hidden_act, "silu");
  assert.equal(config.max_position_embeddings, 2048);
  assert.equal(config.rms_norm_eps, 1e-6);
  for (const key of ["attention_bias", "mlp_bias", "rope_theta", "tie_word_embeddings"]) {
    assert.equal(key in config, false, key);
  }
  assert.deepEqual(checkConfig({ ...LLAMA, num_key_value_heads: 4 }, FILE), {
    ...LLAMA,
    num_key_value_heads: 4,
  });
});

/** The rotary embedding of a config like this. */
function ropeIn(change: Record<string, unknown>) {
  return firstRope(parse(change))!;
}

Deno.test("config: rotary settings are found wherever transformers puts them", () => {
  assert.equal(ropeIn({ rope_theta: 5e5 }).theta, 5e5);
  assert.equal(ropeIn({ rope_parameters: { rope_theta: 7 } }).theta, 7);
  assert.equal(ropeIn({ rope_parameters: { rope_theta: 7 }, rope_scaling: {} }).theta, 7);
  const linear = { rope_type: "linear", factor: 2 };
  const scaling = { type: "linear", factor: 2 };
  assert.deepEqual(ropeIn({ rope_scaling: linear, rope_theta: 7 }), { theta: 7, scaling });
  assert.deepEqual(
    ropeIn({ rope_scaling: linear, rope_parameters: { ...linear, rope_theta: 7 }, rope_theta: 7 }),
    { theta: 7, scaling },
  );
  // the length before scaling is the model's where the config does not say
  const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  const positions = (change: Record<string, unknown>) => {
    const { scaling } = ropeIn({ rope_scaling: { ...llama3, ...change } });
    return scaling?.type === "llama3" && scaling.originalMaxPositions;
  };
  assert.equal(positions({}), 512);
  assert.equal(positions({ original_max_position_embeddings: 99 }), 99);
});

/** Windows of the layers of a config of two, and the tokens that are attended to as a whole. */
function windows(change: Record<string, unknown>) {
  const architecture = parse(change);
  const each = [0, 1].map((layer) => attentionWindow(architecture, layer));
  return [...each, fullyAttended(architecture)];
}

Deno.test("config: windows are those of the family's rule, layer by layer", () => {
  const mistral = { model_type: "mistral", num_key_value_heads: 2 };
  assert.deepEqual(windows({ ...mistral, max_position_embeddings: 9999 }), [4096, 4096, 4096]);
  assert.deepEqual(windows({ ...mistral, sliding_window: null }), [null, null, null]);
  assert.deepEqual(windows({ ...mistral, sliding_window: 9, max_window_layers: 2 }), [9, 9, 9]);
  assert.deepEqual(windows({ sliding_window: 9, use_sliding_window: true }), [null, null, null]);

  assert.deepEqual(windows({ ...QWEN2, use_sliding_window: false }), [null, null, null]);
  assert.deepEqual(windows({ ...QWEN2, sliding_window: null }), [null, null, null]);
  // the default of max_window_layers is more than these layers
  assert.deepEqual(windows(QWEN2), [null, null, null]);
  assert.deepEqual(windows({ ...QWEN2, max_window_layers: 2 }), [null, null, null]);
  assert.deepEqual(windows({ ...QWEN2, max_window_layers: 1 }), [null, 9, 9]);
  assert.deepEqual(windows({ ...QWEN2, max_window_layers: 0 }), [9, 9, 9]);
  // types go before the count
  const [slides, full] = ["sliding_attention", "full_attention"];
  const types = (...layer_types: string[]) =>
    windows({ ...QWEN2, layer_types, max_window_layers: 0 });
  assert.deepEqual(types(slides, full), [9, null, 9]);
  assert.deepEqual(types(full, full), [null, null, null]);
  const off = { ...QWEN2, model_type: "qwen3", use_sliding_window: false };
  assert.deepEqual(windows({ ...off, layer_types: [slides, full] }), [null, null, null]);
});

Deno.test("config: a window limits nothing where its layers' attention is gone", () => {
  const architecture = parse({ ...QWEN2, max_window_layers: 1 });
  const dense = denseShape(architecture.blocks);
  assert.equal(fullyAttended(architecture), 9);
  assert.equal(fullyAttended(withShape(architecture, dense.with(2, null))), null);
  assert.equal(fullyAttended(withShape(architecture, dense.with(0, null))), 9);
  const [first, second] = [
    parse({ ...QWEN2, num_hidden_layers: 1 }).blocks,
    architecture.blocks.slice(2),
  ];
  assert.deepEqual(second.map(({ id }) => id), ["1.attention", "1.mlp"]);
  const one = { ...architecture, layerCount: 1, blocks: first };
  assert.deepEqual(keepLayers(architecture, [0]), one);
  const windowed = withAttention(one, () => ({ window: 9 }));
  assert.deepEqual(keepLayers(architecture, [1]), windowed);
  assert.deepEqual(keepLayers(architecture, [0, 1]), architecture);
});

Deno.test("config: a uniform result is plain, another says in what layers differ and reads back", () => {
  const architecture = parse({});
  const [attention, mlp] = [{ kvGroups: 2 }, { channels: 96 }];
  const uniform = withShape(architecture, [attention, mlp, attention, mlp]);
  const plain = written(LLAMA, uniform);
  assert.equal(plain.model_type, "llama");
  assert.equal("per_layer_config" in plain, false);
  assert.deepEqual(architectureFromConfig(configSchema.parse(plain), "c").architecture, uniform);
  const mixed = withShape(architecture, [null, mlp, attention, null]);
  const listed = written({ ...LLAMA, num_key_value_heads: 4, extra: "kept" }, mixed);
  assert.equal(listed.extra, "kept");
  // transformers would open the plain type by itself, and fill what is missing with random numbers
  assert.equal(listed.model_type, "lopper_llama");
  assert.deepEqual(listed.per_layer_config, {
    0: { intermediate_size: 96, skip: ["attention"] },
    1: { num_attention_heads: 2, num_key_value_heads: 2, skip: ["mlp"] },
  });
  assert.deepEqual(architectureFromConfig(configSchema.parse(listed), "c").architecture, mixed);
});

Deno.test("config: what a layer says of itself is read as transformers writes it, and nothing of it is passed over", () => {
  const own = (per_layer_config: Record<string, unknown>, change = {}) =>
    parse({ ...change, per_layer_config }).blocks.map((block) => sizeOf(block));
  const usual = [{ kvGroups: 4 }, { channels: 160 }];
  assert.deepEqual(own({}), [...usual, ...usual]);
  // it fills numbers up with zeros, so that they sort
  const second = { "01": { intermediate_size: 5, num_key_value_heads: 2 } };
  assert.deepEqual(own(second), [...usual, { kvGroups: 2 }, { channels: 5 }]);
  assert.deepEqual(own({ 0: { skip: ["attention", "mlp"] } }), usual);
  const refused: readonly [Record<string, unknown>, RegExp][] = [
    [{ 0: { head_dim: 8 } }, /per_layer_config\.0\.head_dim is 8; .* Lopper reads num_attention/],
    [{ 0: { skip: ["norm"] } }, /per_layer_config\.0\.skip names "norm"; .*attention and mlp/],
    [{ 2: { skip: [] } }, /at per_layer_config\.2: num_hidden_layers is 2/],
    [{ 0: {}, "00": {} }, /layer 0 is described twice/],
    [{ first: {} }, /per_layer_config\.first/],
    [{ 0: { num_attention_heads: 3 } }, /num_attention_heads is 3; .*multiple of .*, 4/],
  ];
  for (const [per_layer_config, message] of refused) {
    assert.throws(() => own(per_layer_config), message);
  }
});

Deno.test("config: layers are read as versions up to 0.3.0 listed them, and never from two lists", () => {
  const lopper = {
    schema: 1,
    layers: [
      { attention: null, mlp: { intermediate_size: 7 } },
      { attention: { query_heads: 2, kv_heads: 1 }, mlp: null },
    ],
  };
  for (const model_type of ["llama", "lopper_llama"]) {
    const sizes = parse({ model_type, lopper }).blocks.map((block) => sizeOf(block));
    assert.deepEqual(sizes, [{ channels: 7 }, { kvGroups: 1 }]);
  }
  assert.throws(
    () => parse({ lopper, per_layer_config: {} }),
    /config\.json: it says twice what layers have, under lopper and under per_layer_config/,
  );
});

Deno.test("config: a layer without attention has the type of one that the cache is filled for", () => {
  const [slides, full] = ["sliding_attention", "full_attention"];
  const types = (gone: readonly number[], ...layer_types: string[]) => {
    const config = { ...QWEN2, num_hidden_layers: layer_types.length, layer_types };
    const checked = checkConfig({ ...LLAMA, ...config }, FILE);
    const { architecture, family } = architectureFromConfig(checked, FILE);
    const shape = denseShape(architecture.blocks)
      .map((size, i) => i % 2 === 0 && gone.includes(i / 2) ? null : size);
    const pruned = withShape(architecture, shape);
    return writtenConfig({ config: checked, architecture: pruned, family }).layer_types;
  };
  assert.deepEqual(types([0], full, slides, full), [slides, slides, full]);
  assert.deepEqual(types([1], full, slides, slides), [full, full, slides]);
  // where nothing is attended, no layer says what its attention was
  assert.deepEqual(types([0, 1, 2], full, slides, full), [full, full, full]);
});

Deno.test("config: what transformers takes for a fraction only is written as one", () => {
  const text = configText({ logit_scale: 1, clip_qkv: 8, rms_norm_eps: 1e-6, vocab_size: 30 });
  assert.match(text, /"logit_scale": 1\.0,\n {2}"clip_qkv": 8\.0,\n.*0\.000001,\n.*30\n\}\n$/);
  assert.deepEqual(JSON.parse(text).clip_qkv, 8);
});

Deno.test("config: rotary settings are written under the keys of earlier readers, too", () => {
  const changed = (change: Record<string, unknown>) =>
    written({ ...LLAMA, ...change }, parse(change));
  const base = { rope_theta: 7, rope_type: "default" };
  // what a reader of the earlier keys alone computes is what a reader of all of them does
  const plain = changed({ rope_parameters: base, rope_theta: 9 });
  assert.deepEqual(plain.rope_parameters, base);
  assert.deepEqual([plain.rope_theta, plain.rope_scaling], [7, undefined]);
  const scaled = changed({ rope_parameters: { ...base, rope_type: "linear", factor: 2 } });
  const { rope_parameters: _, ...earlier } = scaled;
  assert.deepEqual(ropeIn(earlier), { theta: 7, scaling: { type: "linear", factor: 2 } });
  assert.deepEqual(ropeIn(scaled), ropeIn(earlier));
  assert.equal("rope_theta" in changed({}), false);
  // transformers would take the earlier key, and miss the one that it does not have
  const more = { ...base, rope_type: "linear", factor: 2, llama_4_scaling_beta: 0.1 };
  assert.equal("rope_scaling" in changed({ rope_parameters: more }), false);
});

Deno.test("config: queries of Ministral 3 grow as transformers computes it, which needs a rate and a length", () => {
  const of = (change: Record<string, unknown>) => {
    const rope_parameters = {
      ...{ rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 },
      ...change,
    };
    const json = { ...LLAMA, model_type: "ministral3", num_key_value_heads: 2, rope_parameters };
    const { architecture } = architectureFromConfig(checkConfig(json, FILE), FILE);
    assert.equal(architecture.maxPositions, LLAMA.max_position_embeddings);
    return architecture.blocks[0].attention!.queryGrowth;
  };
  assert.deepEqual(of({ llama_4_scaling_beta: 0.1 }), { rate: 0.1, length: 16 });
  assert.equal(of({ llama_4_scaling_beta: 0 }), undefined);
  for (const llama_4_scaling_beta of [undefined, null, -1, "0.1"]) {
    assert.throws(
      () => of({ llama_4_scaling_beta }),
      /rope_parameters has no llama_4_scaling_beta, the rate by which queries of Ministral 3 grow/,
    );
  }
  const without = { llama_4_scaling_beta: 0.1, original_max_position_embeddings: undefined };
  assert.throws(() => of(without), /no original_max_position_embeddings/);
});

Deno.test("config: what the first configs of Phi-3 call yarn is LongRoPE, and what Baichuan leaves out says which kind it is", () => {
  const config = (name: string) =>
    JSON.parse(Deno.readTextFileSync(
      new URL(`../../tests/fixtures/families/${name}/config.json`, import.meta.url),
    ));
  const described = (json: Record<string, unknown>) =>
    architectureFromConfig(checkConfig(json, FILE), FILE).architecture;
  const { rope_parameters, ...phi3 } = config("phi3-long");
  const { rope_type: _, ...rest } = rope_parameters;
  const long = described({ ...phi3, rope_parameters });
  assert.equal(long.blocks[0].attention!.rope!.scaling!.type, "longrope");
  for (const type of ["su", "yarn"]) {
    assert.deepEqual(described({ ...phi3, rope_scaling: { ...rest, type } }), long, type);
  }

  const { model_max_length: __, ...first } = config("baichuan-alibi");
  const slopes = ({ blocks }: Architecture) => haveWeight(blocks, "slopes");
  assert.equal(slopes(described(config("baichuan-alibi"))), true);
  assert.equal(slopes(described(config("baichuan"))), false);
  assert.equal(slopes(described({ ...first, max_position_embeddings: 64 })), false);
  const second = described({ ...config("baichuan-alibi"), vocab_size: 125_696 });
  assert.equal(second.scaling?.unitHead, true);
  assert.equal(described(config("baichuan-alibi")).scaling, undefined);
});
