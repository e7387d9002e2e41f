import { type Architecture, shown, UnsupportedModelError } from "@lopper/core";
import { type CompleteConfig, withDefaults } from "./config_defaults.ts";
import type { LayerOverrides, ModelConfig } from "./config_schema.ts";
import type { Family, Setting, Trait } from "./families/family.ts";
import { blocksOfLayers, type LayerSizes, layersOfBlocks } from "./families/layer_blocks.ts";
import { familyOf, generatingClass } from "./families/mod.ts";
import { endTokensOf } from "./folder/generation_config.ts";
import { withoutCode } from "./folder/code_keys.ts";
import { earlierRopeKeys, ropeFromConfig } from "./rope_config.ts";
import { windowsFromConfig } from "./window_config.ts";

/**
 * What stands before the family in the `model_type` of an export with layers of its own:
 * transformers then asks for the modelling file beside it, where the plain name would fill missing
 * weights with random numbers and only warn.
 */
export const PRUNED_MODEL_TYPE = "lopper_";

/**
 * Describes the model of a config.json.
 * @param file where the config came from, for messages.
 * @throws {UnsupportedModelError} for a family or a setting that Lopper does not compute.
 */
export function architectureFromConfig(
  json: ModelConfig,
  file: string,
): { architecture: Architecture; family: Family } {
  const family = familyOfConfig(json, file);
  const config = withDefaults(json, family);
  const refuse: Refuse = (what, found, needed) => {
    throw new UnsupportedModelError(
      `${file}: ${what} is ${shown(found)}; Lopper needs ${needed}`,
    );
  };
  const { hidden_size: hiddenSize, max_position_embeddings: maxPositions } = config;
  const activation = config.hidden_act ?? "silu";
  if (activation !== "silu") refuse("hidden_act", activation, `"silu" for ${family.modelType}`);
  const { headDim: defaultHeadDim, ropeTheta } = family.defaults;
  const headDim = config.head_dim ??
    (defaultHeadDim === "hidden/heads" ? hiddenSize / config.num_attention_heads : defaultHeadDim);
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    refuse("head_dim", headDim, "an even whole number");
  }
  const layers = layersFromConfig(config, refuse);
  const architecture: Architecture = {
    family: family.modelType,
    hiddenSize,
    headDim,
    vocabSize: config.vocab_size,
    maxPositions,
    rmsNormEps: config.rms_norm_eps,
    tiedEmbeddings: config.tie_word_embeddings ?? false,
    rope: ropeFromConfig(config, { ropeTheta, maxPositions }, file),
    ...windowsFromConfig(config, family, file),
    eosTokenIds: endTokensOf(config),
    layerCount: layers.length,
    kinds: family.blocks.map(({ kind }) => kind),
    blocks: blocksOfLayers(
      family,
      { hiddenSize, headDim, traits: traitsOf(config, family) },
      layers,
    ),
  };
  return { architecture, family };
}

/** What a model has of what its family may have. */
export function traitsOf(
  config: Readonly<Record<string, unknown>>,
  { biases, qkNorm }: Family,
): ReadonlySet<Trait> {
  const flag = (setting: Setting) =>
    typeof setting === "boolean" ? setting : config[setting] === true;
  const has: Readonly<Record<Trait, boolean>> = {
    qkvBias: flag(biases.qkv),
    outputBias: flag(biases.output),
    mlpBias: flag(biases.mlp),
    qkNorm: qkNorm !== false,
  };
  return new Set((Object.keys(has) as Trait[]).filter((trait) => has[trait]));
}

type Refuse = (what: string, found: unknown, needed: string) => never;

/** The layers: those that `lopper` lists, else as many equal ones as the config says. */
function layersFromConfig(
  config: CompleteConfig,
  refuse: Refuse,
): readonly LayerSizes[] {
  const dense: LayerSizes = {
    attention: { queryHeads: config.num_attention_heads, kvHeads: config.num_key_value_heads },
    mlp: { intermediateSize: config.intermediate_size },
  };
  const layers = config.lopper
    ? config.lopper.layers.map(({ attention, mlp }): LayerSizes => ({
      attention: attention && { queryHeads: attention.query_heads, kvHeads: attention.kv_heads },
      mlp: mlp && { intermediateSize: mlp.intermediate_size },
    }))
    : Array.from({ length: config.num_hidden_layers }, () => dense);
  if (layers.length !== config.num_hidden_layers) {
    refuse("lopper.layers", layers.length, `${config.num_hidden_layers} entries, one a layer`);
  }
  for (const { attention } of layers) {
    if (attention && attention.queryHeads % attention.kvHeads !== 0) {
      refuse(
        "num_attention_heads",
        attention.queryHeads,
        `a multiple of num_key_value_heads, ${attention.kvHeads}`,
      );
    }
  }
  return layers;
}

/** The family of a config. @throws {UnsupportedModelError} when Lopper reads no such family. */
export function familyOfConfig({ lopper, model_type: type }: ModelConfig, file: string): Family {
  return familyOf(lopper ? withoutPrefix(type) : type, file);
}

/** The family of a `model_type` that an export with layers of its own has. */
export function withoutPrefix(modelType: string): string {
  return modelType.startsWith(PRUNED_MODEL_TYPE)
    ? modelType.slice(PRUNED_MODEL_TYPE.length)
    : modelType;
}

/**
 * A config.json without the keys that describe layers of their own to Lopper and, in an export, to
 * transformers; nor those that name code, or a file of weights that lies in the source's folder.
 */
export function plainConfig(source: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { lopper: _, transformers_weights: __, ...config } = withoutCode(source);
  const { model_type, architectures } = config;
  const type = typeof model_type === "string" ? withoutPrefix(model_type) : "";
  // A class of the code that is left out is none that readers know.
  const own = source.auto_map !== undefined || type !== model_type
    ? generatingClass(type)
    : undefined;
  return {
    ...config,
    ...(type !== model_type && { model_type: type }),
    ...(own && architectures !== undefined && { architectures: [own] }),
  };
}

/** A config.json for some of the layers that it describes, in their order. */
export function configOfLayers(
  source: Readonly<Record<string, unknown>>,
  kept: readonly number[],
): Record<string, unknown> {
  const { layer_types, max_window_layers } = source;
  return {
    ...source,
    num_hidden_layers: kept.length,
    ...(Array.isArray(layer_types) && { layer_types: kept.map((layer) => layer_types[layer]) }),
    ...(typeof max_window_layers === "number" && {
      max_window_layers: kept.filter((layer) => layer < max_window_layers).length,
    }),
  };
}

/**
 * A config that has rotary settings under transformers 5's `rope_parameters`, with the earlier keys
 * beside it.
 */
function withEarlierRopeKeys(
  config: Readonly<Record<string, unknown>>,
  { rope }: Architecture,
): Record<string, unknown> {
  if (!config.rope_parameters) return { ...config };
  const { rope_theta, rope_scaling } = earlierRopeKeys(rope);
  return { ...config, rope_theta, ...(rope_scaling && { rope_scaling }) };
}

/**
 * The config.json of a model whose layers were changed. Where it can be, it is a plain config;
 * otherwise the key `lopper` lists the shape of every layer, and the plain keys keep the dense
 * model's values.
 */
export function prunedConfig(
  source: Readonly<Record<string, unknown>>,
  architecture: Architecture,
  plain: boolean,
): Record<string, unknown> {
  const config = withEarlierRopeKeys(plainConfig(source), architecture);
  const layers = layersOfBlocks(architecture);
  const [first] = layers;
  if (plain && first.attention && first.mlp) {
    return {
      ...config,
      num_attention_heads: first.attention.queryHeads,
      num_key_value_heads: first.attention.kvHeads,
      head_dim: architecture.headDim,
      intermediate_size: first.mlp.intermediateSize,
    };
  }
  const overrides: LayerOverrides = {
    schema: 1,
    layers: layers.map(({ attention, mlp }) => ({
      attention: attention &&
        { query_heads: attention.queryHeads, kv_heads: attention.kvHeads },
      mlp: mlp && { intermediate_size: mlp.intermediateSize },
    })),
  };
  return { ...config, lopper: overrides };
}
