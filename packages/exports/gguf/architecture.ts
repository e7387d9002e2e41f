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
import type { Model } from "@lopper/models";
import type { GgufLayer, PlacedBlock } from "./layers.ts";

/** An architecture of llama.cpp, as far as files differ by it. */
export interface GgufArchitecture {
  readonly name: "llama" | "qwen2" | "qwen3" | "deci";
  /** It rotates neighbouring channels of a head, so that rows of q and k are interleaved. */
  readonly interleaved: boolean;
  /** Numbers of heads and widths are lists, one entry a layer. */
  readonly byLayer: boolean;
}

const UNIFORM: Readonly<Record<string, GgufArchitecture>> = {
  llama: { name: "llama", interleaved: true, byLayer: false },
  // Mistral is told apart by its window only.
  mistral: { name: "llama", interleaved: true, byLayer: false },
  qwen2: { name: "qwen2", interleaved: false, byLayer: false },
  qwen3: { name: "qwen3", interleaved: false, byLayer: false },
};
/** Llama whose layers differ: made for models that NVIDIA pruned (DeciLM, Nemotron). */
const DECI: GgufArchitecture = { name: "deci", interleaved: true, byLayer: true };

/**
 * The architecture under which llama.cpp computes the model.
 * @throws {ExportError} when there is none: another family; biases, or norms of q and k, where
 *   layers differ; biases where the heads do not fill the hidden size, which llama.cpp takes for
 *   granted; Qwen with the frequencies of Llama 3.
 */
export function architectureOf(model: Model, layers: readonly GgufLayer[]): GgufArchitecture {
  const { architecture, name } = model;
  const refuse = (what: string): never => {
    throw new ExportError(
      `${name}: ${what}, and llama.cpp has no architecture for that; export it with --to safetensors or --to onnx`,
    );
  };
  const first = firstOfAlike(layers);
  if (!first) {
    const reason = whyNotDeci(architecture);
    return reason === null ? DECI : refuse(`its layers differ in shape and have ${reason}`);
  }
  const biased = haveWeight(architecture.blocks, "q_bias", "o_bias");
  if (biased && shapeOfWeight(first, "q")[0] !== architecture.hiddenSize) {
    refuse("its heads have biases and do not fill the hidden size");
  }
  if (biased && haveWeight(architecture.blocks, "q_norm")) {
    refuse("its heads have biases beside norms");
  }
  if (!Object.hasOwn(UNIFORM, architecture.family)) {
    throw new ExportError(
      `${name}: GGUF files are written for ${
        Object.keys(UNIFORM).join(", ")
      }, and it is ${architecture.family}; export it ` +
        "with --to safetensors or --to onnx",
    );
  }
  const arch = UNIFORM[architecture.family];
  if (firstRope(architecture)?.scaling?.type === "llama3" && arch.name !== "llama") {
    refuse(`it is a ${architecture.family} with the rotary frequencies of Llama 3`);
  }
  return arch;
}

/**
 * What a model has that llama.cpp computes only where all layers are alike, in words; null for
 * nothing.
 */
export function whyNotDeci({ blocks }: Pick<Architecture, "blocks">): string | null {
  if (blocks.some(({ placement }) => placement === "post")) return "norms behind their blocks";
  if (haveWeight(blocks, "q_norm")) return "norms of queries and keys";
  return haveWeight(blocks, "q_bias", "o_bias", "gate_bias") ? "biases" : null;
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
    widths: layers.map(({ mlp }) =>
      mlp === "zero" ? zeroWidth(quantised) : innerWidth(mlp, sizeOf(mlp))
    ),
  };
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
