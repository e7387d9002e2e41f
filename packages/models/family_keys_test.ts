import { architectureFromConfig } from "./config.ts";
import { checkConfig } from "./config_kind.ts";
import { withOwnKeys } from "./config_defaults.ts";
import { FAMILIES } from "./families/mod.ts";
import assert from "node:assert/strict";

/** What transformers' class of each family knows, by model_type (make_config_attributes.py). */
const { attributes }: { attributes: Record<string, Record<string, unknown>> } = JSON.parse(
  await Deno.readTextFile(
    new URL("../../tests/fixtures/config_attributes.json", import.meta.url),
  ),
);

/**
 * Keys by which nothing is computed but in training, by other heads, by guesses of further tokens,
 * beside an encoder or in half precision; and where texts begin.
 */
const OF_TRAINING: readonly string[] = [
  ...["attention_dropout", "dropout", "embd_pdrop", "hidden_dropout", "layerdrop", "resid_pdrop"],
  ...[
    "residual_dropout",
    "embedding_dropout",
    "init_std",
    "initializer_range",
    "pretraining_tp",
    "use_cache",
  ],
  ...[
    "bos_token_id",
    "pad_token_id",
    "eod_token_id",
    "sep_token_id",
    "classifier_dropout",
    "attn_pdrop",
  ],
  ...["summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type"],
  ...["summary_use_proj", "add_cross_attention", "is_decoder", "reorder_and_upcast_attn"],
  ...["output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "num_mtp_layers"],
];

/** Keys of blocks that Lopper reads no models with. */
const OF_OTHER_BLOCKS: Readonly<Record<string, readonly string[]>> = {
  granitemoehybrid: [
    ...["intermediate_size", "num_experts_per_tok", "mamba_chunk_size", "mamba_conv_bias"],
    ...["mamba_d_conv", "mamba_d_head", "mamba_d_state", "mamba_expand", "mamba_n_groups"],
    ...["mamba_n_heads", "mamba_proj_bias"],
    // Whatever attention is called there, it reaches back all the way.
    "layer_types",
  ],
};

/** Keys that count only where another one lets them, by family. */
const WITH: Readonly<Record<string, Readonly<Record<string, Record<string, unknown>>>>> = {
  qwen2: {
    sliding_window: { use_sliding_window: true, max_window_layers: 0 },
    use_sliding_window: { max_window_layers: 0 },
    max_window_layers: { use_sliding_window: true, sliding_window: 8 },
    layer_types: { use_sliding_window: true, max_window_layers: 0, sliding_window: 8 },
  },
  dots1: {
    sliding_window: { max_window_layers: 2 },
    intermediate_size: { first_k_dense_replace: 1 },
  },
  qwen2_moe: {
    intermediate_size: { mlp_only_layers: [1] },
    sliding_window: { use_sliding_window: true },
    max_window_layers: { use_sliding_window: true, sliding_window: 8 },
    layer_types: { use_sliding_window: true, sliding_window: 8 },
  },
  qwen3_moe: {
    intermediate_size: { mlp_only_layers: [1] },
    sliding_window: { use_sliding_window: true },
  },
  phi3: {
    original_max_position_embeddings: {
      rope_scaling: {
        rope_type: "longrope",
        short_factor: Array(8).fill(1),
        long_factor: Array(8).fill(2),
      },
    },
  },
  smollm3: {
    sliding_window: { use_sliding_window: true },
    use_sliding_window: { sliding_window: 8, num_hidden_layers: 4 },
    layer_types: { use_sliding_window: true, sliding_window: 8 },
    no_rope_layer_interval: { num_hidden_layers: 4 },
  },
};

/** Keys that a family needs to have. */
const NEEDED: Readonly<Record<string, Record<string, unknown>>> = {
  granitemoehybrid: {
    ...{ num_local_experts: 0, position_embedding_type: "rope" },
    layer_types: Array(4).fill("full_attention"),
  },
  dots1: { n_routed_experts: 8, n_shared_experts: 1, num_experts_per_tok: 2 },
  ministral3: {
    rope_parameters: {
      ...{ rope_type: "yarn", factor: 2, original_max_position_embeddings: 500 },
      llama_4_scaling_beta: 0.1,
    },
  },
};

const SIZES = {
  vocab_size: 64,
  hidden_size: 64,
  intermediate_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  max_position_embeddings: 128,
};

/** Other values of keys whose default does not say of what kind they are. */
const OTHERS: Readonly<Record<string, unknown>> = {
  clip_qkv: 8,
  final_logit_softcapping: 20,
  attn_logit_softcapping: 20,
  eos_token_id: 63,
  hidden_act: "relu",
  hidden_activation: "silu",
  activation_function: "gelu",
  layer_types: ["full_attention", "full_attention", "sliding_attention", "full_attention"],
  max_window_layers: 2,
  mlp_layer_types: ["sparse", "dense", "sparse", "sparse"],
  mlp_only_layers: [1],
  n_inner: 40,
  no_rope_layers: [0, 0, 1, 1],
  num_attention_heads: 8,
  num_key_value_heads: 1,
  position_embedding_type: null,
  rope_parameters: { rope_type: "default", rope_theta: 77 },
  sliding_window: 9,
  sliding_window_pattern: 2,
  use_bidirectional_attention: true,
  word_embed_proj_dim: 32,
  head_dim: 8,
};

const BY_TYPE = { full_attention: { rope_theta: 77 }, sliding_attention: { rope_theta: 78 } };

function described(config: Readonly<Record<string, unknown>>) {
  return architectureFromConfig(checkConfig(config, "config.json"), "config.json").architecture;
}

function changed(key: string, value: unknown, type: string): unknown {
  if (key === "rope_parameters" && ["gemma3_text", "olmo3"].includes(type)) return BY_TYPE;
  if (Object.hasOwn(OTHERS, key)) return OTHERS[key];
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") return Number.isInteger(value) ? 2 * value + 2 : value * 2;
  throw new Error(`no other value for ${key}`);
}

for (const { modelType, keys = {} } of FAMILIES) {
  const own = attributes[modelType];
  if (!own) continue;
  Deno.test(`config of ${modelType}: whatever key changes what transformers computes is used, or refused by name`, () => {
    for (const [key, value] of Object.entries(own)) {
      if (OF_TRAINING.includes(key) || OF_OTHER_BLOCKS[modelType]?.includes(key)) continue;
      const usual: Record<string, unknown> = {
        ...{ model_type: modelType, ...withOwnKeys(SIZES, { keys }), ...NEEDED[modelType] },
        ...(WITH[modelType] ?? WITH[modelType.replace(/^qwen.*/, "qwen2")])?.[key],
      };
      const before = described(usual);
      const known = Object.hasOwn(usual, key) ? usual[key] : value;
      const config = { ...usual, [key]: changed(key, known, modelType) };
      try {
        assert.notDeepEqual(described(config), before, `${key} changes nothing`);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        const usualKey = Object.keys(keys).find((usual) => keys[usual] === key) ?? key;
        assert.match((error as Error).message, new RegExp(`${key}|${usualKey}`), key);
      }
    }
  });
}

Deno.test("config: the classes of all families of these were looked at", () => {
  const unseen = FAMILIES.filter(({ modelType }) => !attributes[modelType]);
  // transformers has none of Baichuan.
  assert.deepEqual(unseen.map(({ modelType }) => modelType), ["baichuan"]);
});
