import { type Architecture, shown, UnsupportedModelError } from "@lopper/core";
import { type CompleteConfig, withDefaults } from "./config_defaults.ts";
import type { ModelConfig } from "./config_schema.ts";
import type { Family, Setting, Trait } from "./families/family.ts";
import { blocksOfLayers } from "./families/layer_blocks.ts";
import { familyOf } from "./families/mod.ts";
import { endTokensOf } from "./folder/generation_config.ts";
import { layersOfConfig } from "./per_layer_config.ts";
import { ropeFromConfig } from "./rope_config.ts";
import { windowsFromConfig } from "./window_config.ts";

/**
 * What stands before the family in the `model_type` of a model with layers of its own: transformers
 * then asks for the modelling file beside it, where the plain name would fill missing weights with
 * random numbers and only warn.
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
  const layers = checkedLayers(config, file, refuse);
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

/** The layers, whose heads share keys and values evenly. */
function checkedLayers(config: CompleteConfig, file: string, refuse: Refuse) {
  const layers = layersOfConfig(config, file);
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
export function familyOfConfig({ model_type: type }: ModelConfig, file: string): Family {
  return familyOf(withoutPrefix(type), file);
}

/** The family of a `model_type` that a model with layers of its own has. */
export function withoutPrefix(modelType: string): string {
  return modelType.startsWith(PRUNED_MODEL_TYPE)
    ? modelType.slice(PRUNED_MODEL_TYPE.length)
    : modelType;
}
