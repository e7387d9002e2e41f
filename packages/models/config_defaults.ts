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

type Json = Readonly<Record<string, unknown>>;

/**
 * A config with the usual names of keys, where its family has others for them, and the width of an
 * MLP where that follows from the hidden size. What stands under a usual name that is not the
 * family's is none of its keys: transformers does not read it either.
 */
export function withUsualKeys(
  json: Json,
  { keys = {}, alsoNamed = {}, usual = (config) => config, defaults: { intermediate } }: Family,
): Json {
  const also = Object.entries(alsoNamed).filter(([usual]) => !Object.hasOwn(json, usual));
  const renamed = usual(renameKeys(json, { ...Object.fromEntries(also), ...keys }));
  const { hidden_size: hidden, intermediate_size: width, per_layer_config: own } = renamed;
  return {
    ...renamed,
    ...(isObject(own) && { per_layer_config: eachLayer(own, (entry) => usualLayer(entry, keys)) }),
    ...(intermediate !== null && typeof hidden === "number" && (width ?? null) === null &&
      { intermediate_size: intermediate * hidden }),
  };
}

/** What a layer says of itself; a family that has no key for KV heads has as many as heads. */
function usualLayer(json: Json, keys: NonNullable<Family["keys"]>): Json {
  const entry = renameKeys(json, keys);
  const { num_attention_heads: heads } = entry;
  const isBoth = keys.num_key_value_heads === null && heads !== undefined;
  return isBoth ? { ...entry, num_key_value_heads: heads } : entry;
}

function renameKeys(json: Json, keys: NonNullable<Family["keys"]>): Json {
  const renamed = Object.entries(keys);
  const gone = new Set(renamed.flat());
  const rest = Object.entries(json).filter(([key]) => !gone.has(key));
  const found = renamed.flatMap(([usual, key]) =>
    key !== null && Object.hasOwn(json, key) ? [[usual, json[key]]] : []
  );
  return Object.fromEntries([...rest, ...found]);
}

/** The converse: a config under the names that its family has for keys, without those it lacks. */
export function withOwnKeys(
  config: Json,
  { keys = {} }: Pick<Family, "keys">,
): Record<string, unknown> {
  const own = (json: Json) =>
    Object.fromEntries(
      Object.entries(json).flatMap(([key, value]) => {
        const name = Object.hasOwn(keys, key) ? keys[key] : key;
        return name === null ? [] : [[name, value]];
      }),
    );
  const { per_layer_config: layers } = config;
  return {
    ...own(config),
    ...(isObject(layers) && { per_layer_config: eachLayer(layers, own) }),
  };
}

function eachLayer(layers: Json, change: (entry: Json) => Json): Json {
  return Object.fromEntries(
    Object.entries(layers).map((
      [layer, entry],
    ) => [layer, isObject(entry) ? change(entry) : entry]),
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
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
