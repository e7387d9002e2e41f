import { type Architecture, attentionWindow, firstRope, headsOf, isUniform } from "@lopper/core";
import { PRUNED_MODEL_TYPE, withoutPrefix } from "./config.ts";
import { withOwnKeys } from "./config_defaults.ts";
import { ConfigReader } from "./config_reader.ts";
import type { Family } from "./families/family.ts";
import { layersOfBlocks } from "./families/layer_blocks.ts";
import { generatingClass } from "./families/mod.ts";
import { withoutCode } from "./folder/code_keys.ts";
import { perLayerConfig, widthsOf } from "./per_layer_config.ts";
import { earlierRopeKeys } from "./rope_scaling.ts";
import { ropeSchema } from "./rope_schema.ts";
import { FULL, SLIDING } from "./window_config.ts";

type Json = Readonly<Record<string, unknown>>;

/** Families whose config.json has a list of the types of layers (`Family`, `slidingWindow`). */
const HAS_TYPES: ReadonlySet<Family["slidingWindow"]> = new Set([
  "use_sliding_window",
  "layer_types",
]);

/** A model as its config describes it. */
export interface DescribedModel {
  readonly architecture: Architecture;
  readonly family: Family;
  /** The config.json that it comes from. */
  readonly config: Json;
}

/**
 * The config.json of a model. Where all layers are alike it is a plain one of the family. Otherwise
 * the plain keys keep what they say of the model that it comes from, `per_layer_config` says in
 * what layers differ, and transformers is led to the code beside it.
 */
export function writtenConfig(model: DescribedModel): Record<string, unknown> {
  const { architecture, family } = model;
  const plain = {
    ...withEarlierRopeKeys(plainConfig(model.config), architecture),
    head_dim: architecture.headDim,
    ...(family.guesses && { [family.guesses.key]: 0 }),
  };
  const layers = layersOfBlocks(architecture);
  if (isUniform(architecture)) {
    // Some of them may have an MLP where others have a mixture.
    const widths: object = Object.assign({}, ...layers.map((sizes) => widthsOf(sizes, family)));
    const uniform = { ...plain, ...widths, ...expertsOfToken(architecture) };
    return withOwnKeys(
      plainHeadsFit(model) ? uniform : { ...uniform, ...ownCode(family) },
      family,
    );
  }
  return withOwnKeys({
    ...plain,
    ...(HAS_TYPES.has(family.slidingWindow) && { layer_types: layerTypes(architecture) }),
    ...ownCode(family),
    per_layer_config: perLayerConfig(layers, family, plain),
  }, family);
}

/** To how many experts a token goes where there are some: to no more than are left. */
function expertsOfToken({ blocks }: Architecture): Record<string, number> {
  const routing = blocks.find((block) => block.routing)?.routing;
  return routing ? { num_experts_per_tok: routing.topK } : {};
}

/**
 * A config.json without the keys that describe layers of their own; nor those that name code, or a
 * file of weights that lies in the source's folder.
 */
export function plainConfig(source: Json): Record<string, unknown> {
  const { lopper: _, per_layer_config: __, transformers_weights: ___, ...config } = withoutCode(
    source,
  );
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

/**
 * A config.json for some of the layers that it describes, in their order; null where its family has
 * no keys that say which of them have a mixture of experts. What it has by layer loses the entries
 * of the others; a list that it leaves out is written, since another one would follow from the
 * number of layers.
 */
export function configOfLayers(
  source: Json,
  kept: readonly number[],
  { slides, lists = {}, mixtureLayers }: Pick<Family, "slides" | "lists" | "mixtureLayers">,
): Record<string, unknown> | null {
  const { max_window_layers } = source;
  const usual: NonNullable<Family["lists"]> = {
    ...lists,
    ...(slides && { layer_types: (...layer) => slides(...layer) ? SLIDING : FULL }),
  };
  const reader = new ConfigReader(source, "config.json");
  const mixtures = mixtureLayers
    ? mixtureLayers.keys(kept.map((layer) => mixtureLayers.has(layer, reader)))
    : {};
  if (mixtures === null) return null;
  const listed = [...new Set(["layer_types", ...Object.keys(usual)])].flatMap((key) => {
    const list = source[key];
    const entry = Array.isArray(list) ? (layer: number) => list[layer] : usual[key];
    return entry ? [[key, kept.map((layer) => entry(layer, reader))]] : [];
  });
  return {
    ...source,
    num_hidden_layers: kept.length,
    ...Object.fromEntries(listed),
    ...mixtures,
    ...(typeof max_window_layers === "number" && {
      max_window_layers: kept.filter((layer) => layer < max_window_layers).length,
    }),
  };
}

/**
 * A config that has rotary settings under transformers 5's `rope_parameters`, with the earlier keys
 * beside it: but for `rope_scaling` where it would lack a key, since transformers takes it first.
 */
function withEarlierRopeKeys(config: Json, architecture: Architecture): Record<string, unknown> {
  const rope = firstRope(architecture);
  if (!config.rope_parameters || !rope || hasSeveralRopes(architecture)) return { ...config };
  const { rope_theta, rope_scaling } = earlierRopeKeys(rope);
  const { partial_rotary_factor, ...rest } = config.rope_parameters as Json;
  const isWhole = Object.keys(rest).every((key) => key in ropeSchema.shape);
  return {
    ...config,
    rope_theta,
    ...(partial_rotary_factor !== undefined && { partial_rotary_factor }),
    ...(rope_scaling && isWhole && { rope_scaling }),
  };
}

function hasSeveralRopes({ blocks }: Architecture): boolean {
  const ropes = blocks.flatMap(({ attention }) => attention ? [attention.rope] : []);
  return new Set(ropes.map((rope) => JSON.stringify(rope))).size > 1;
}

/** Whether transformers opens a plain model of the family with heads of this size and number. */
function plainHeadsFit({ architecture, family }: DescribedModel): boolean {
  const { hiddenSize, headDim, blocks } = architecture;
  const { queryHeads } = headsOf(blocks.find(({ attention }) => attention)!);
  switch (family.plainHeads) {
    case "any":
      return true;
    case "divide":
      return hiddenSize % queryHeads === 0;
    case "fill":
      return queryHeads * headDim === hiddenSize;
  }
}

/** The keys by which transformers finds the code that knows layers of their own. */
function ownCode({ className, modelType }: Family): Record<string, unknown> {
  const model_type = PRUNED_MODEL_TYPE + modelType;
  if (className === null) return { model_type };
  const name = `Lopper${className}`;
  return {
    model_type,
    architectures: [`${name}ForCausalLM`],
    auto_map: {
      AutoConfig: `configuration_lopper.${name}Config`,
      AutoModelForCausalLM: `modeling_lopper.${name}ForCausalLM`,
    },
  };
}

/**
 * The type of each layer's attention. transformers takes the length of a text from the first place
 * in the cache of each type, so that a layer without attention has the type of one before it that
 * has some: the first of a type is never empty then.
 */
function layerTypes(architecture: Architecture): readonly string[] {
  const { blocks, layerCount } = architecture;
  const attended = blocks.flatMap(({ attention, layer }) => attention ? [layer] : []);
  const typeOf = (layer: number) => attentionWindow(architecture, layer) === null ? FULL : SLIDING;
  return Array.from({ length: layerCount }, (_, layer) => {
    const before = attended.findLast((other) => other <= layer) ?? attended[0] ?? layer;
    return typeOf(before);
  });
}
