import type { Attention, Block } from "@lopper/core";
import type { GgufArchitecture, GgufSetting } from "../architecture.ts";
import { SANDWICH } from "./gemma.ts";

/** Norms behind blocks, and no others. */
const BEHIND: GgufArchitecture["tensors"] = {
  attention: { norm: "post_attention_norm.weight" },
  mlp: { norm: "post_ffw_norm.weight" },
};

const firstAttention = (blocks: readonly Block[]): Attention | undefined =>
  blocks.find(({ attention }) => attention)?.attention;

/** OLMo 1 to 3. */
const OLMO: readonly GgufArchitecture[] = [
  { name: "olmo", modelType: "olmo", pairs: "neighbours", fullHeads: true },
  {
    name: "olmo2",
    modelType: "olmo2",
    windowed: "olmo3",
    pairs: "halves",
    fullHeads: true,
    head: "own",
    tensors: BEHIND,
    windows: { period: 4, unscaled: true },
  },
];

/** Of Phi-3 config.json says it apart; where it counts it is written with the factors. */
const ORIGINAL: GgufSetting = {
  key: "rope.scaling.original_context_length",
  config: "original_max_position_embeddings",
  of: () => undefined,
  count: true,
};

const PHI: readonly GgufArchitecture[] = [
  {
    name: "phi2",
    modelType: "phi",
    pairs: "halves",
    partialRotation: true,
    fullHeads: true,
    head: "own",
    activation: "gelu_pytorch_tanh",
    parallel: true,
  },
  {
    name: "phi3",
    modelType: "phi3",
    pairs: "halves",
    partialRotation: true,
    fullHeads: true,
    packed: {
      attention: { attn_qkv: ["q", "k", "v"] },
      mlp: { ffn_up: ["gate", "up"] },
    },
    rope: { factors: true },
    settings: [ORIGINAL],
    windows: { period: "all" },
  },
];

/** llama.cpp divides logits by what it calls their scale. */
export const GRANITE: readonly GgufSetting[] = [
  {
    key: "attention.scale",
    config: "attention_multiplier",
    of: ({ blocks }) => firstAttention(blocks)?.scale,
  },
  {
    key: "embedding_scale",
    config: "embedding_multiplier",
    of: ({ scaling }) => scaling?.embedding ?? 1,
  },
  {
    key: "residual_scale",
    config: "residual_multiplier",
    of: ({ blocks }) => blocks[0]?.multiplier ?? 1,
  },
  // Where it is false, llama.cpp rotates nothing, as in some of Granite 4.
  { key: "rope.scaling.finetuned", of: () => undefined, only: true },
  { key: "logit_scale", config: "logits_scaling", of: ({ scaling }) => 1 / (scaling?.logits ?? 1) },
];

const PARALLEL: GgufSetting = {
  key: "use_parallel_residual",
  config: "use_parallel_residual",
  of: ({ blocks }) => blocks.some(({ parallel }) => parallel),
};

/** q, k and v are one tensor in every file of them. */
const QKV: GgufArchitecture["packed"] = { attention: { attn_qkv: ["q", "k", "v"] } };

const GPT: readonly GgufArchitecture[] = [
  {
    name: "gpt2",
    modelType: "gpt2",
    pairs: "halves",
    fullHeads: true,
    activation: "gelu_pytorch_tanh",
    packed: QKV,
    unrotated: () => true,
  },
  {
    name: "gptneox",
    modelType: "gpt_neox",
    pairs: "halves",
    partialRotation: true,
    fullHeads: true,
    head: "own",
    // llama.cpp takes the approximation for it.
    activation: "gelu",
    parallel: "either",
    packed: QKV,
    settings: [PARALLEL],
  },
];

/** Whose layers are not those of Llama, or whose norms have biases. */
const WITH_LAYER_NORMS: readonly GgufArchitecture[] = [
  {
    name: "starcoder2",
    modelType: "starcoder2",
    pairs: "halves",
    activation: "gelu_pytorch_tanh",
    fullHeads: true,
    windows: { period: "all" },
  },
  {
    name: "stablelm",
    modelType: "stablelm",
    pairs: "halves",
    partialRotation: true,
    fullHeads: true,
    head: "own",
    parallel: "either",
    settings: [PARALLEL],
    // llama.cpp goes by the norm that is not there.
    implied: (_, has) => ({ use_parallel_residual: !has("blk.0.ffn_norm.weight") }),
  },
  {
    name: "nemotron",
    modelType: "nemotron",
    pairs: "halves",
    partialRotation: true,
    fullHeads: true,
    head: "own",
    activation: "relu2",
  },
  {
    name: "cohere2",
    modelType: "cohere2",
    pairs: "neighbours",
    fullHeads: true,
    head: "embedding",
    parallel: true,
    settings: [{ key: "logit_scale", config: "logit_scale", of: ({ scaling }) => scaling?.logits }],
    windows: { period: 4 },
    unrotated: (_, slides) => !slides,
  },
];

/** Of other makers. */
export const OTHERS: readonly GgufArchitecture[] = [
  // llama.cpp rotates in models of as many layers as the 7B kind has, biases scores by distance in
  // those of the 13B kind, and does neither in others.
  {
    name: "baichuan",
    modelType: "baichuan",
    pairs: "neighbours",
    fullHeads: true,
    layers: 32,
    slopedLayers: 40,
    implied: ({ layers }) => ({ alibi: layers === 40 }),
    head: "own",
  },
  {
    name: "arcee",
    modelType: "arcee",
    pairs: "neighbours",
    activation: "relu2",
    rope: { divisors: true },
  },
  {
    name: "granite",
    modelType: "granite",
    // Granite 4 without Mamba layers and experts.
    also: ["granitemoehybrid"],
    pairs: "neighbours",
    rope: { divisors: true },
    settings: GRANITE,
    implied: ({ headDim }) => ({ attention_multiplier: 1 / Math.sqrt(headDim) }),
  },
  {
    name: "ernie4_5",
    modelType: "ernie4_5",
    pairs: "neighbours",
    unbiased: true,
  },
  {
    name: "smollm3",
    modelType: "smollm3",
    pairs: "neighbours",
    unrotated: (layer) => (layer + 1) % 4 === 0,
  },
  {
    name: "seed_oss",
    modelType: "seed_oss",
    pairs: "halves",
    tensors: { mlp: { norm: "post_attention_norm.weight" } },
  },
  {
    name: "hunyuan-dense",
    modelType: "hunyuan_v1_dense",
    pairs: "halves",
    normAfterRotation: true,
  },
  {
    name: "exaone4",
    modelType: "exaone4",
    pairs: "halves",
    fullHeads: true,
    tensors: BEHIND,
    rope: { divisors: true },
    // llama.cpp knows the large model by its layers; those without a window rotate nothing there.
    windows: { period: 4, absent: 4096, layers: 64 },
    unrotated: (_, slides, windowed) => windowed && !slides,
  },
  {
    name: "glm4",
    modelType: "glm4",
    pairs: "neighbours",
    partialRotation: true,
    tensors: SANDWICH,
    packed: { mlp: { ffn_up: ["gate", "up"] } },
  },
  ...WITH_LAYER_NORMS,
  ...GPT,
  ...OLMO,
  ...PHI,
];
