import type { GgufArchitecture, GgufSetting } from "../architecture.ts";
import {
  COUNT,
  DEEPSEEK,
  DEEPSEEK_IMPLIED,
  denseLayers,
  SHARED_WIDTH,
  sharedCount,
  sharedWidth,
  SIGMOIDS,
  USED,
  WIDTH,
} from "./expert_settings.ts";
import { LLAMA_ROPE } from "./llama.ts";
import { GRANITE } from "./others.ts";

/** ERNIE's mixtures may be in every so manieth layer, of which llama.cpp loads only every one. */
const EVERY_LAYER: GgufSetting = {
  key: "interleave_moe_layer_step",
  config: "moe_layer_interval",
  of: () => 1,
  ...{ only: 1, count: true },
};

/** With experts in place of MLPs. Whether weights are made to sum up to 1 is no key of theirs. */
export const MIXTURES: readonly GgufArchitecture[] = [
  // Mixtral; its files are told from those of Llama by the experts.
  {
    name: "llama",
    modelType: "mixtral",
    pairs: "neighbours",
    rope: LLAMA_ROPE,
    settings: [COUNT, USED],
    routing: { softmaxOver: "all", renormalised: true },
  },
  {
    name: "gpt-oss",
    modelType: "gpt_oss",
    pairs: "halves",
    head: "own",
    tensors: { experts: { norm: "post_attention_norm.weight" } },
    settings: [COUNT, USED, WIDTH],
    windows: { period: 2, absent: 128 },
    rope: { truncates: false },
    routing: { softmaxOver: "chosen" },
    gating: { alpha: 1.702, limit: 7 },
  },
  {
    name: "qwen2moe",
    modelType: "qwen2_moe",
    pairs: "halves",
    fullHeads: true,
    head: "own",
    settings: [COUNT, USED, WIDTH, sharedWidth("shared_expert_intermediate_size")],
    implied: () => ({ norm_topk_prob: false }),
    routing: { softmaxOver: "all" },
  },
  {
    name: "qwen3moe",
    modelType: "qwen3_moe",
    pairs: "halves",
    settings: [COUNT, USED, WIDTH],
    implied: () => ({ norm_topk_prob: true }),
    routing: { softmaxOver: "all", renormalised: true },
  },
  {
    name: "olmoe",
    modelType: "olmoe",
    pairs: "halves",
    fullHeads: true,
    ownKeys: true,
    head: "own",
    settings: [COUNT, USED],
    implied: () => ({ norm_topk_prob: false }),
    routing: { softmaxOver: "all" },
  },
  {
    name: "granitemoe",
    modelType: "granitemoe",
    shared: "granitemoeshared",
    pairs: "neighbours",
    settings: [...GRANITE, COUNT, USED, sharedWidth("shared_intermediate_size")],
    implied: ({ headDim }) => ({ attention_multiplier: 1 / Math.sqrt(headDim) }),
    routing: { softmaxOver: "chosen" },
  },
  {
    name: "ernie4_5-moe",
    modelType: "ernie4_5_moe",
    pairs: "neighbours",
    settings: [
      ...[COUNT, USED, WIDTH, sharedCount("moe_num_shared_experts"), SHARED_WIDTH],
      ...[denseLayers("moe_layer_start_index"), EVERY_LAYER],
    ],
    implied: () => ({ moe_num_shared_experts: 0 }),
    routing: { softmaxOver: "all", renormalised: true },
  },
  {
    name: "dots1",
    modelType: "dots1",
    pairs: "halves",
    ownKeys: true,
    head: "own",
    settings: DEEPSEEK,
    implied: () => DEEPSEEK_IMPLIED,
    routing: { softmaxOver: null },
  },
  {
    name: "glm4moe",
    modelType: "glm4_moe",
    pairs: "halves",
    normedBiases: true,
    partialRotation: true,
    tensors: {
      mlp: { norm: "post_attention_norm.weight" },
      experts: { norm: "post_attention_norm.weight" },
    },
    settings: DEEPSEEK,
    implied: () => DEEPSEEK_IMPLIED,
    routing: { softmaxOver: null },
  },
  {
    name: "minimax-m2",
    modelType: "minimax_m2",
    pairs: "halves",
    partialRotation: true,
    head: "own",
    settings: [COUNT, USED, WIDTH, SIGMOIDS],
    routing: { softmaxOver: null, renormalised: true },
  },
];
