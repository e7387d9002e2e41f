import type { Family } from "@lopper/models";
import type { Random } from "./tiny_random.ts";

type Settings = Record<string, unknown>;

/** Of the model that settings are for. */
export interface TinySize {
  readonly layerCount: number;
  readonly headDim: number;
}

/** Random settings that a family may have, beside its sizes, under the usual names of keys. */
export function tinySettings(family: Family, random: Random, size: TinySize): Settings {
  const keys = Object.values(family.has).flatMap((setting) =>
    typeof setting === "object" ? [setting.key] : []
  );
  return {
    ...Object.fromEntries(keys.map((key) => [key, random.chance(0.5)])),
    ...windows(family, random, size),
    ...rotation(family, random, size),
    ...(random.chance(0.2) && { hidden_act: random.pick(["silu", "gelu", "relu", "gelu_new"]) }),
    ...(family.blocks.some(({ kind }) => kind === "experts") && fewExperts(random)),
    ...family.mixtureLayers?.keys(
      Array.from({ length: size.layerCount }, (_, layer) => layer > 0 || random.chance(0.5)),
    ),
    ...OWN[family.modelType]?.(random, size),
  };
}

function windows({ slidingWindow }: Family, random: Random, { layerCount }: TinySize): Settings {
  const layer_types = Array.from(
    { length: layerCount },
    () => random.chance(0.5) ? "sliding_attention" : "full_attention",
  );
  const sliding_window = random.int(3, 6);
  switch (slidingWindow) {
    case "never":
      return {};
    case "sliding_window":
      return { sliding_window: random.chance(0.5) ? sliding_window : null };
    case "use_sliding_window":
      return {
        sliding_window,
        use_sliding_window: random.chance(0.5),
        max_window_layers: random.int(0, layerCount),
      };
    case "layer_types":
      return { sliding_window, ...(random.chance(0.5) && { layer_types }) };
  }
}

function rotation(family: Family, random: Random, { headDim }: TinySize): Settings {
  const rope = () => random.pick(ROPES);
  const share = 2 * random.int(1, headDim / 2) / headDim;
  return {
    rope_parameters: family.windowRope
      ? { full_attention: rope(), sliding_attention: { rope_theta: 300 } }
      : rope(),
    ...(family.defaults.rotated < 1 && { partial_rotary_factor: share }),
  };
}

const ROPES = [
  { rope_type: "default", rope_theta: 10_000 },
  { rope_type: "linear", rope_theta: 10_000, factor: 2 },
  { rope_type: "yarn", rope_theta: 10_000, factor: 2, original_max_position_embeddings: 32 },
  {
    rope_type: "llama3",
    rope_theta: 500_000,
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  },
];

/** A few small experts, whatever of it a family has keys for. */
function fewExperts(random: Random): Settings {
  const groups = random.int(1, 3), each = random.int(2, 7 - groups);
  const topGroups = random.int(1, groups);
  return {
    num_experts: groups * each,
    num_experts_per_tok: random.int(1, Math.min(3, each * topGroups)),
    moe_intermediate_size: random.int(3, 12),
    shared_expert_intermediate_size: random.int(3, 12),
    norm_topk_prob: random.chance(0.5),
    n_group: groups,
    topk_group: topGroups,
    n_shared_experts: random.int(1, 2),
    routed_scaling_factor: random.pick([1, 1.7]),
  };
}

/** What some families say in keys of their own. */
const OWN: Readonly<Record<string, (random: Random, size: TinySize) => Settings>> = {
  baichuan: (random) => random.chance(0.5) ? { z_loss_weight: 0 } : {},
  cohere2: (random) => ({ logit_scale: random.pick([0.5, 1]) }),
  gemma2: (random) => ({
    attn_logit_softcapping: random.pick([null, 3]),
    final_logit_softcapping: random.pick([null, 5]),
    query_pre_attn_scalar: random.int(4, 30),
  }),
  gemma3_text: (random) => ({ query_pre_attn_scalar: random.int(4, 30) }),
  granite: (random) => ({
    embedding_multiplier: 1.5,
    residual_multiplier: random.pick([0.5, 1]),
    attention_multiplier: 0.3,
    logits_scaling: 2,
  }),
  gpt_neox: (random) => ({ use_parallel_residual: random.chance(0.5) }),
  // As wide as intermediate_size says.
  hunyuan_v1_moe: () => ({ moe_intermediate_size: undefined }),
  ministral3: () => ({ rope_parameters: { ...ROPES[2], llama_4_scaling_beta: 0.2 } }),
  olmo: (random) => ({ clip_qkv: random.pick([null, 0.7]) }),
  opt: (random) => ({ layer_norm_elementwise_affine: random.chance(0.7) }),
  phi3: (random, { headDim }) => ({
    rope_parameters: random.pick([ROPES[0], {
      rope_type: "longrope",
      short_factor: Array.from({ length: headDim / 2 }, (_, i) => 1 + i / 10),
      long_factor: Array.from({ length: headDim / 2 }, (_, i) => 1 + i),
      original_max_position_embeddings: 32,
    }]),
  }),
  smollm3: (random, { layerCount }) => ({
    use_sliding_window: true,
    no_rope_layers: Array.from({ length: layerCount }, () => random.int(0, 1)),
  }),
  stablelm: (random) => ({
    use_parallel_residual: random.chance(0.5),
    qk_layernorm: random.chance(0.5),
  }),
};
