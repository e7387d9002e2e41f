import {
  type Activation,
  type Architecture,
  type Attention,
  routingOf,
  shown,
  UnsupportedModelError,
} from "@lopper/core";
import { type CompleteConfig, withDefaults } from "./config_defaults.ts";
import { ConfigReader } from "./config_reader.ts";
import type { ModelConfig } from "./config_schema.ts";
import type { Family, FamilySettings, Setting, Trait } from "./families/family.ts";
import { blocksOfLayers } from "./families/layer_blocks.ts";
import { familyOf } from "./families/mod.ts";
import { endTokensOf } from "./folder/generation_config.ts";
import { layersOfConfig } from "./per_layer_config.ts";
import { ropesByType } from "./rope_by_type.ts";
import { ropesFromConfig } from "./rope_config.ts";
import { FULL, SLIDING, windowsFromConfig } from "./window_config.ts";

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
  const reader = new ConfigReader(config, file);
  const refuse: Refuse = (what, found, needed) => {
    throw new UnsupportedModelError(
      `${file}: ${what} is ${shown(found)}; Lopper needs ${needed}`,
    );
  };
  const { hidden_size: hiddenSize, max_position_embeddings: maxPositions } = config;
  const settings = family.settings?.(reader) ?? {};
  const activation = settings.activation ?? activationOf(config, family, refuse);
  const headDim = headDimOf(config, family);
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    refuse("head_dim", headDim, "an even whole number");
  }
  const { experts } = settings;
  checkTopK(experts, refuse);
  const complete = {
    ...config,
    ...(experts && { num_experts: experts.count }),
    // Elsewhere the key says nothing.
    moe_intermediate_size: family.expertWidth && experts?.channels,
  };
  const isMixture = (layer: number) => family.mixtureLayers?.has(layer, reader) ?? true;
  const layers = checkedLayers(complete, isMixture, file, refuse);
  const attention = attentionOfLayers(config, family, { headDim, settings, file });
  const architecture: Architecture = {
    family: family.modelType,
    hiddenSize,
    headDim,
    vocabSize: config.vocab_size,
    maxPositions,
    norm: { kind: family.norm, eps: config.rms_norm_eps },
    outer: family.outer,
    tiedEmbeddings: config.tie_word_embeddings ?? family.defaults.tied,
    ...(settings.scaling && { scaling: settings.scaling }),
    eosTokenIds: endTokensOf(config),
    layerCount: layers.length,
    ...kindsOf(family, layers.map((_, layer) => isMixture(layer))),
    blocks: blocksOfLayers(
      family,
      {
        ...{ hiddenSize, headDim, traits: traitsOf(reader, family), attention },
        ...(experts && { experts }),
        ...(settings.parallel && { parallel: true }),
        ...(activation !== "silu" && { activation }),
        ...(settings.multiplier !== undefined && { multiplier: settings.multiplier }),
      },
      layers,
    ),
  };
  return { architecture, family };
}

/** A token goes to no more experts than there are in the groups that it goes to. */
function checkTopK(experts: FamilySettings["experts"], refuse: Refuse) {
  if (!experts) return;
  const { topK } = routingOf(experts.routing, experts.count, experts.groups);
  if (topK === experts.routing.topK) return;
  refuse("num_experts_per_tok", experts.routing.topK, `at most ${topK} experts`);
}

/**
 * The kinds of blocks that layers of a model have.
 * @param mixtures whether each has a mixture of experts, where the family has some.
 */
function kindsOf(
  { blocks, mixtureLayers }: Family,
  mixtures: readonly boolean[],
): Pick<Architecture, "kinds" | "eitherOf"> {
  const kinds = blocks.map(({ kind }) => kind);
  if (!mixtureLayers) return { kinds };
  const eitherOf = blocks.filter(({ attended }) => !attended).map(({ kind }) => kind);
  if (new Set(mixtures).size > 1) return { kinds, eitherOf };
  // The mixture is the second one.
  const without = eitherOf[mixtures.includes(true) ? 0 : 1];
  return { kinds: kinds.filter((kind) => kind !== without) };
}

/** Channels of a head, as the config or its family says; any number where it says nonsense. */
function headDimOf(config: CompleteConfig, { defaults: { headDim } }: Family): number {
  if (typeof config.head_dim === "number") return config.head_dim;
  return headDim === "hidden/heads" ? config.hidden_size / config.num_attention_heads : headDim;
}

/** What transformers calls activations (`ACT2CLS`), by what they compute. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: "silu",
  gelu: "gelu",
  gelu_pytorch_tanh: "gelu_pytorch_tanh",
  // The same formula, written out.
  gelu_new: "gelu_pytorch_tanh",
  relu: "relu",
  relu2: "relu2",
};

/** The activation that a config names. */
function namedActivation(name: string): Activation | undefined {
  return Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
}

function activationOf(
  { hidden_act: name }: CompleteConfig,
  { modelType, activation }: Family,
  refuse: Refuse,
): Activation {
  const known = Object.keys(ACTIVATIONS).map((key) => JSON.stringify(key)).join(", ");
  return namedActivation(name ?? activation) ??
    refuse("hidden_act", name, `one of ${known} for ${modelType}`);
}

/** How the tokens of each layer see one another, but for the channels. */
function attentionOfLayers(
  config: CompleteConfig,
  family: Family,
  { headDim, settings, file }: { headDim: number; settings: FamilySettings; file: string },
): readonly Omit<Attention, "channels">[] {
  const { ropeTheta, rotated } = family.defaults;
  const defaults = { ropeTheta, rotated, maxPositions: config.max_position_embeddings, headDim };
  const { pairs, windowRope } = family;
  const ropes = windowRope
    ? ropesByType(config, { ...defaults, windowRope }, file)
    : ropesFromConfig(config, defaults, file);
  return windowsFromConfig(config, family, file).map((window, layer) => ({
    scale: 1 / Math.sqrt(headDim),
    rope: { ...ropes(window === null ? FULL : SLIDING), ...(pairs && { pairs }) },
    window,
    softCap: null,
    ...settings.attention,
    ...settings.attentionOf?.(layer, window),
  }));
}

/**
 * What a model has of what its family may have.
 * @throws {CheckpointFormatError} for a key that is neither true nor false.
 */
export function traitsOf(
  config: ConfigReader,
  { has }: Pick<Family, "has">,
): ReadonlySet<Trait> {
  const isThere = (setting: Setting) =>
    typeof setting === "boolean" ? setting : config.boolean(setting.key, setting.absent ?? false);
  const traits = Object.entries(has) as [Trait, Setting][];
  return new Set(traits.flatMap(([trait, setting]) => isThere(setting) ? [trait] : []));
}

type Refuse = (what: string, found: unknown, needed: string) => never;

/** The layers, whose heads share keys and values evenly. */
function checkedLayers(
  config: CompleteConfig,
  isMixture: (layer: number) => boolean,
  file: string,
  refuse: Refuse,
) {
  const layers = layersOfConfig(config, isMixture, file);
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
export function familyOfConfig(config: ModelConfig, file: string): Family {
  const family = familyOf(withoutPrefix(config.model_type), file);
  return { ...family, ...family.variant?.(new ConfigReader(config, file)) };
}

/** The family of a `model_type` that a model with layers of its own has. */
export function withoutPrefix(modelType: string): string {
  return modelType.startsWith(PRUNED_MODEL_TYPE)
    ? modelType.slice(PRUNED_MODEL_TYPE.length)
    : modelType;
}
