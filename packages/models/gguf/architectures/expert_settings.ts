import type { Block, Routing } from "@lopper/core";
import { shapeOfWeight } from "@lopper/core";
import type { GgufSetting } from "../architecture.ts";

const mixture = (blocks: readonly Block[]) => blocks.find(({ routing }) => routing);
/** An axis of a weight of the first mixture. */
const lengthOf = (weight: string, axis: number): GgufSetting["of"] => ({ blocks }) => {
  const found = mixture(blocks);
  const isThere = found?.weights.some(({ name }) => name === weight);
  return found && isThere ? shapeOfWeight(found, weight)[axis] : undefined;
};
const routingBy =
  (of: (routing: Routing) => number | boolean | undefined): GgufSetting["of"] => ({ blocks }) => {
    const routing = mixture(blocks)?.routing;
    return routing && of(routing);
  };

const whole = (key: string, config: string, of: GgufSetting["of"]): GgufSetting => ({
  ...{ key, config, of },
  count: true,
});

export const COUNT = whole("expert_count", "num_experts", lengthOf("router", 0));
export const USED = whole(
  "expert_used_count",
  "num_experts_per_tok",
  routingBy(({ topK }) => topK),
);
export const WIDTH = whole(
  "expert_feed_forward_length",
  "moe_intermediate_size",
  lengthOf("gate", 1),
);
/** Channels of the MLP that all tokens go through. */
export const sharedWidth = (config: string): GgufSetting =>
  whole("expert_shared_feed_forward_length", config, lengthOf("shared_gate", 0));

/** The same where config.json says as how many experts it counts. */
export const SHARED_WIDTH: GgufSetting = {
  key: "expert_shared_feed_forward_length",
  of: lengthOf("shared_gate", 0),
  count: true,
};
export const sharedCount = (config: string): GgufSetting =>
  whole("expert_shared_count", config, (architecture) => {
    const [shared = 0, channels] = [
      lengthOf("shared_gate", 0)(architecture),
      lengthOf("gate", 1)(architecture),
    ];
    return channels && Number(shared) / Number(channels);
  });

/** Layers before those with mixtures, which have MLPs. */
export const denseLayers = (config: string): GgufSetting =>
  whole(
    LEADING_KEY,
    config,
    ({ blocks }) => blocks.filter(({ attention, routing }) => !attention && !routing).length,
  );
export const LEADING_KEY = "leading_dense_block_count";

/** Whether weights of those that are chosen are divided by their sum. */
export const RENORMALISED_KEY = "expert_weights_norm";
/** What weights are multiplied with in the end. */
export const FACTOR_KEY = "expert_weights_scale";
/** Groups that a token goes to. */
export const TOP_GROUPS_KEY = "expert_group_used_count";

const RENORMALISED: GgufSetting = {
  key: RENORMALISED_KEY,
  config: "norm_topk_prob",
  of: routingBy(({ renormalised = false }) => renormalised),
};
const FACTOR: GgufSetting = {
  key: FACTOR_KEY,
  config: "routed_scaling_factor",
  of: routingBy(({ factor = 1 }) => factor),
};
/** llama.cpp wants no groups where tokens go to all of them. */
const GROUPS: readonly GgufSetting[] = [
  whole("expert_group_count", "n_group", ({ blocks }) => {
    const found = mixture(blocks);
    if (found?.routing?.topGroups === undefined) return undefined;
    return found.dimensions.find(({ name }) => name === "experts")?.groups;
  }),
  whole(TOP_GROUPS_KEY, "topk_group", routingBy(({ topGroups }) => topGroups)),
];
/** Scores are sigmoids (llama.cpp, `llama_expert_gating_func_type`). */
export const SIGMOIDS: GgufSetting = {
  key: "expert_gating_func",
  of: () => 2,
  ...{ only: 2, count: true },
};

/** What configs say of mixtures that are routed as DeepSeek-V3's. */
export const DEEPSEEK: readonly GgufSetting[] = [
  ...[COUNT, USED, WIDTH, sharedCount("n_shared_experts")],
  ...[denseLayers("first_k_dense_replace"), RENORMALISED, FACTOR, ...GROUPS, SIGMOIDS],
];
/** What llama.cpp takes where such a file does not say it. */
export const DEEPSEEK_IMPLIED: Readonly<Record<string, unknown>> = {
  n_shared_experts: 0,
  first_k_dense_replace: 0,
  norm_topk_prob: false,
  routed_scaling_factor: 1,
};
