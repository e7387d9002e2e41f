import { type Architecture, axisLength, type Block, sizeOf } from "@lopper/core";
import { traitsOf } from "./config.ts";
import { ConfigReader } from "./config_reader.ts";
import type { Family } from "./families/family.ts";
import { layersOfBlocks } from "./families/layer_blocks.ts";
import { endTokensOf } from "./folder/generation_config.ts";
import { type RopeKeys, ropesFromConfig } from "./rope_config.ts";
import { FULL, type WindowKeys, windowsFromConfig } from "./window_config.ts";

interface Described {
  readonly architecture: Architecture;
  readonly family: Family;
  /** config.json as it stands. */
  readonly config: Json;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * What the digest of a checkpoint has of its description: keys, their order and what they hold are
 * those under which models were described first, and never change. End tokens are those of
 * config.json.
 */
export function digestForm({ architecture, family, config }: Described) {
  const { hiddenSize, headDim, vocabSize, maxPositions, norm, tiedEmbeddings } = architecture;
  const eosTokenIds = endTokensOf(config) as readonly number[];
  if (!FIRST_FAMILIES.includes(family.modelType)) {
    const blocks = architecture.blocks.map(firstForm);
    return { form: 2, ...architecture, blocks, eosTokenIds, layers: layersOfBlocks(architecture) };
  }
  const traits = traitsOf(new ConfigReader(config, "config.json"), family);
  const { has, qkNormOver, placement } = family;
  return {
    family: architecture.family,
    ...{ hiddenSize, headDim, vocabSize, maxPositions, rmsNormEps: norm.eps, tiedEmbeddings },
    biases: {
      qkv: traits.has("qkvBias"),
      output: traits.has("outputBias"),
      mlp: traits.has("mlpBias"),
    },
    qkNorm: has.qkNorm ? (qkNormOver === "all heads" ? "full" : true) : false,
    ...(placement !== "pre" && { placement }),
    ...ropeAndWindows(architecture, family, config),
    eosTokenIds,
    layers: layersOfBlocks(architecture),
  };
}

/** Mixtures lost whole experts when they were described first: all else of them had a length. */
function firstForm(block: Block): Block {
  if (!block.routing) return block;
  const [experts] = block.dimensions;
  const size = sizeOf(block);
  return {
    ...block,
    dimensions: [experts],
    weights: block.weights.map((weight) => ({
      ...weight,
      axes: weight.axes.map((axis) =>
        typeof axis === "number" || axis.dimension === experts.name ? axis : axisLength(axis, size)
      ),
    })),
  };
}

/** Families that were described by layers, with one rotary embedding and one window for all. */
const FIRST_FAMILIES: readonly string[] = ["llama", "mistral", "qwen2", "qwen3", "olmo2"];

/** As the config says of all layers, those included that have no attention. */
function ropeAndWindows({ headDim, layerCount }: Architecture, family: Family, json: Json) {
  const config = { ...json, num_hidden_layers: layerCount } as WindowKeys & RopeKeys;
  const { ropeTheta, rotated, maxPositions } = family.defaults;
  const usual = {
    ropeTheta,
    rotated,
    maxPositions: json.max_position_embeddings as number | undefined ?? maxPositions,
  };
  const windows = windowsFromConfig(config, family, "config.json");
  const slidingWindow = windows.find((window) => window !== null) ?? null;
  const fullAttention = slidingWindow === null
    ? []
    : windows.flatMap((window, layer) => window === null ? [layer] : []);
  return {
    rope: ropesFromConfig(config, { ...usual, headDim }, "config.json")(FULL),
    slidingWindow,
    ...(fullAttention.length > 0 && { fullAttention }),
  };
}
