import type { ModelConfig } from "./config_schema.ts";
import type { Family } from "./families/family.ts";

/** Keys whose null says no more than their absence; transformers 5 refuses it. */
const NO_NULLS = [
  "attention_bias",
  "head_dim",
  "hidden_act",
  "max_position_embeddings",
  "max_window_layers",
  "mlp_bias",
  "partial_rotary_factor",
  "rms_norm_eps",
  "rope_theta",
  "tie_word_embeddings",
  "use_sliding_window",
] as const;

/**
 * A config with the usual names of keys, where its family has others for them, and the width of an
 * MLP where that follows from the hidden size.
 */
export function withUsualKeys(
  json: Readonly<Record<string, unknown>>,
  { keys = {}, defaults: { intermediate } }: Family,
): Readonly<Record<string, unknown>> {
  const own = new Set(Object.values(keys));
  const renamed = {
    ...Object.fromEntries(Object.entries(json).filter(([key]) => !own.has(key))),
    ...Object.fromEntries(
      Object.entries(keys).flatMap(([usual, key]) =>
        Object.hasOwn(json, key) ? [[usual, json[key]]] : []
      ),
    ),
  } as Record<string, unknown>;
  const { hidden_size: hidden, intermediate_size: width } = renamed;
  if (intermediate === null || typeof hidden !== "number" || (width ?? null) !== null) {
    return renamed;
  }
  return { ...renamed, intermediate_size: intermediate * hidden };
}

/** The converse: a config under the names that its family has for keys. */
export function withOwnKeys(
  config: Readonly<Record<string, unknown>>,
  { keys = {} }: Pick<Family, "keys">,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [keys[key] ?? key, value]),
  );
}

/** Other names of SiLU in transformers (`ACT2CLS`). */
const SILU = ["swish"];

/** A config in which everything stands that Lopper needs to know. */
export type CompleteConfig = ModelConfig & {
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly num_key_value_heads: number;
};

/**
 * A config with what its family means by keys that it does not have: other readers of what is
 * written need not know that. What stands there stays.
 */
export function withDefaults(config: ModelConfig, { defaults }: Family): CompleteConfig {
  const nulls = NO_NULLS.filter((key) => config[key] === null);
  const rest: ModelConfig = nulls.length === 0 ? config : { ...config };
  for (const key of nulls) delete rest[key];
  const heads = config.num_attention_heads;
  const { kvHeads } = defaults;
  return {
    ...rest,
    ...(SILU.includes(config.hidden_act ?? "") && { hidden_act: "silu" }),
    max_position_embeddings: config.max_position_embeddings ?? defaults.maxPositions,
    rms_norm_eps: config.rms_norm_eps ?? defaults.rmsNormEps,
    num_key_value_heads: config.num_key_value_heads === undefined
      ? kvHeads === "heads" ? heads : kvHeads
      : config.num_key_value_heads ?? heads,
  };
}
