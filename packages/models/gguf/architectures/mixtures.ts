import type { Block } from "@lopper/core";
import { shapeOfWeight } from "@lopper/core";
import type { GgufArchitecture, GgufSetting } from "../architecture.ts";
import { LLAMA_ROPE } from "./llama.ts";
import { GRANITE } from "./others.ts";

const mixture = (blocks: readonly Block[]) => blocks.find(({ routing }) => routing);
/** An axis of a weight of the first mixture. */
const lengthOf = (weight: string, axis: number): GgufSetting["of"] => ({ blocks }) => {
  const found = mixture(blocks);
  const isThere = found?.weights.some(({ name }) => name === weight);
  return found && isThere ? shapeOfWeight(found, weight)[axis] : undefined;
};

const whole = (key: string, config: string, of: GgufSetting["of"]): GgufSetting => ({
  ...{ key, config, of },
  count: true,
});
const COUNT = whole("expert_count", "num_experts", lengthOf("router", 0));
const USED = whole(
  "expert_used_count",
  "num_experts_per_tok",
  ({ blocks }) => mixture(blocks)?.routing?.topK,
);
const WIDTH = whole(
  "expert_feed_forward_length",
  "moe_intermediate_size",
  lengthOf("gate", 1),
);
const SHARED = whole(
  "expert_shared_feed_forward_length",
  "shared_expert_intermediate_size",
  lengthOf("shared_gate", 0),
);

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
    settings: [COUNT, USED, WIDTH, SHARED],
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
    pairs: "neighbours",
    settings: [...GRANITE, COUNT, USED],
    implied: ({ headDim }) => ({ attention_multiplier: 1 / Math.sqrt(headDim) }),
    routing: { softmaxOver: "chosen" },
  },
];
