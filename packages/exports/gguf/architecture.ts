import {
  type Architecture,
  areAlike,
  type Block,
  ExportError,
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
import type { GgufLayer } from "./layers.ts";
import { hasMultipliers, withoutMultipliers } from "./multipliers.ts";
import { unlikeLlama } from "../unlike_llama.ts";
import { whatItCannotSay } from "./what_it_says.ts";

/** Made for models that NVIDIA pruned (DeciLM, Nemotron): a Llama, with biases or without. */
const DECI = architectureNamed("deci");
/** A Llama with norms of queries and keys, head by head. */
const OPENELM = architectureNamed("openelm");

/**
 * The architecture under which llama.cpp computes the model: its family's own, or one of those
 * whose layers may differ where that has what the model needs.
 * @throws {ExportError} when there is none: another family; blocks that no such architecture has,
 *   where layers differ; or anything else that its files cannot say.
 */
export function architectureOf(model: Model, layers: readonly GgufLayer[]): FoundArchitecture {
  const { architecture, name } = model;
  const known = architectureFor(architecture.family);
  if (!known) {
    throw new ExportError(
      `${name}: GGUF files are written for ${
        GGUF_MODEL_TYPES.join(", ")
      }, and it is ${architecture.family}; export it with --to safetensors or --to onnx`,
    );
  }
  const own = areLayersAlike(layers) ? whatItsOwnCannotSay(known, architecture, layers) : undefined;
  if (own === null) return { arch: known, folds: false };
  const { reason, ...found } = architectureByLayer(architecture);
  if (reason === null) return found;
  throw new ExportError(
    `${name}: ${
      own ?? `its layers differ in shape and ${reason}`
    }, and llama.cpp has no architecture for that; export it with --to safetensors or --to onnx`,
  );
}

export interface FoundArchitecture {
  readonly arch: GgufArchitecture;
  /** It knows no multipliers, which the model's weights have to take over. */
  readonly folds: boolean;
}

/** The architecture of those whose layers may differ, and why it cannot compute the model. */
export function architectureByLayer(
  given: Architecture,
): FoundArchitecture & { readonly reason: string | null } {
  const folds = hasMultipliers(given);
  const architecture = folds ? withoutMultipliers(given) : given;
  const { blocks } = architecture;
  const arch = haveWeight(blocks, "q_norm") ? OPENELM : DECI;
  const unlike = unlikeLlama(withPlainHead(architecture), arch.beside);
  const reason = unlike === null ? whatItCannotSay(arch, architecture, blocks) : `it has ${unlike}`;
  return { arch, folds, reason };
}

/** Rows of the LM head are written with the length that they are used with. */
function withPlainHead({ scaling, ...rest }: Architecture): Architecture {
  const { unitHead: _, ...others } = scaling ?? {};
  return Object.keys(others).length > 0 ? { ...rest, scaling: others } : rest;
}

function whatItsOwnCannotSay(
  known: GgufArchitecture,
  architecture: Architecture,
  layers: readonly GgufLayer[],
): string | null {
  const { blocks } = architecture;
  const biased = !known.normedBiases && haveWeight(blocks, "q_bias", "o_bias");
  if (biased && haveWeight(blocks, "q_norm")) {
    return "its heads have biases beside norms";
  }
  const placed = layers.flatMap(({ attention, mlp }) => [attention, mlp]) as Block[];
  return whatItCannotSay(known, architecture, placed);
}

/** Whether all blocks are the model's own, and those of a kind alike. */
function areLayersAlike(layers: readonly GgufLayer[]): boolean {
  const placed = layers.flatMap(({ attention, mlp }) => [attention, mlp]);
  const own = placed.filter((block): block is Block => block !== null && block !== "zero");
  const firsts = new Map(own.toReversed().map((block) => [block.kind, block]));
  return own.length === placed.length &&
    own.every((block) => areAlike(block, firsts.get(block.kind)!));
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
