import {
  type Architecture,
  areAlike,
  type Block,
  ExportError,
  firstRope,
  haveWeight,
  headsOf,
  innerWidth,
  shapeOfWeight,
  sizeOf,
} from "@lopper/core";
import {
  architectureFor,
  architectureNamed,
  GGUF_MODEL_TYPES,
  type GgufArchitecture,
  type Model,
} from "@lopper/models";
import type { GgufLayer, PlacedBlock } from "./layers.ts";
import { unlikeLlama } from "../unlike_llama.ts";
import { whatItCannotSay } from "./what_it_says.ts";

/** Llama whose layers differ: made for models that NVIDIA pruned (DeciLM, Nemotron). */
const DECI = architectureNamed("deci");

/**
 * The architecture under which llama.cpp computes the model.
 * @throws {ExportError} when there is none: another family; biases, or norms of q and k, where
 *   layers differ; biases where the heads do not fill the hidden size, which llama.cpp takes for
 *   granted; Qwen with the frequencies of Llama 3; or anything else that its files cannot say.
 */
export function architectureOf(model: Model, layers: readonly GgufLayer[]): GgufArchitecture {
  const { architecture, name } = model;
  const refuse = (what: string): never => {
    throw new ExportError(
      `${name}: ${what}, and llama.cpp has no architecture for that; export it with --to safetensors or --to onnx`,
    );
  };
  const known = architectureFor(architecture.family);
  if (!known) {
    throw new ExportError(
      `${name}: GGUF files are written for ${
        GGUF_MODEL_TYPES.join(", ")
      }, and it is ${architecture.family}; export it with --to safetensors or --to onnx`,
    );
  }
  const first = firstOfAlike(layers);
  if (!first) {
    const reason = unlikeLlama(architecture);
    return reason === null ? DECI : refuse(`its layers differ in shape and have ${reason}`);
  }
  const biased = haveWeight(architecture.blocks, "q_bias", "o_bias");
  const full = shapeOfWeight(first, "q")[0] === architecture.hiddenSize;
  if (biased && known.fullHeads === "biased" && !full) {
    refuse("its heads have biases and do not fill the hidden size");
  }
  if (biased && haveWeight(architecture.blocks, "q_norm")) {
    refuse("its heads have biases beside norms");
  }
  const placed = layers.flatMap(({ attention, mlp }) => [attention, mlp]) as Block[];
  const cannot = whatItCannotSay(known, architecture, placed);
  if (cannot !== null) refuse(cannot);
  return known;
}

/** The attention of the first layer, where all blocks are the model's own, and all layers alike. */
function firstOfAlike(layers: readonly GgufLayer[]): Block | null {
  const [{ attention: first, mlp: second }] = layers;
  const isLike = (a: PlacedBlock | null, b: PlacedBlock | null) =>
    a !== null && a !== "zero" && b !== null && b !== "zero" && areAlike(a, b);
  const alike = layers.every(({ attention, mlp }) =>
    isLike(attention, first) && isLike(mlp, second)
  );
  return alike ? first as Block : null;
}

/** One head, so that the cache of layer 0 has a shape. */
export const ZERO_HEADS = 1;

/** Channels of a feed-forward of zeros: one, or as many as a quantised row needs. */
export function zeroWidth(quantised: boolean): number {
  return quantised ? 32 : 1;
}

/** Query heads, KV heads and widths of every layer, 0 where there is no attention. */
export function layerNumbers(layers: readonly GgufLayer[], quantised: boolean) {
  const heads = (kind: "queryHeads" | "kvHeads") =>
    layers.map(({ attention }) =>
      attention === null ? 0 : attention === "zero" ? ZERO_HEADS : headsOf(attention)[kind]
    );
  return {
    queryHeads: heads("queryHeads"),
    kvHeads: heads("kvHeads"),
    widths: layers.map(({ mlp }) => mlp === "zero" ? zeroWidth(quantised) : widthOf(mlp)),
  };
}

/** Channels of a feed-forward; of a mixture those of an expert. */
function widthOf(block: Block): number {
  return block.routing ? shapeOfWeight(block, "gate")[1] : innerWidth(block, sizeOf(block));
}

/**
 * Factors by which llama.cpp divides rotary frequencies; null where they are the plain ones, or
 * scaled all alike.
 */
export function frequencyDivisors(
  architecture: Architecture,
  plain: Float32Array,
  scaled: Float32Array,
): Float32Array | null {
  return firstRope(architecture)?.scaling?.type === "llama3"
    ? plain.map((f, i) => f / scaled[i])
    : null;
}
