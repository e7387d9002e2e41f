import type { Rope } from "./attention.ts";
import { areAlike, type Block, blockId, type Dimension, type Shape } from "./block.ts";
import type { Norm } from "./norm.ts";
import { routingOf } from "./routing.ts";

/**
 * A decoder-only language model as its residual blocks. That they differ is normal: a pruned model
 * is described like any other, and opening, scoring, pruning again and writing need no special case
 * for it.
 */
export interface Architecture {
  /** `model_type` of the Hugging Face config, e.g. "llama". */
  readonly family: string;
  readonly hiddenSize: number;
  /** Channels of one attention head; heads × headDim need not equal `hiddenSize`. */
  readonly headDim: number;
  readonly vocabSize: number;
  /** Longest sequence, in tokens, that the model was made for. */
  readonly maxPositions: number;
  readonly norm: Norm;
  /** Weights outside the blocks, beside embedding and LM head. */
  readonly outer: readonly OuterPart[];
  /** The LM head is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  /** What is done to rows of the embedding, and to logits, where anything is. */
  readonly scaling?: OuterScaling;
  /** Token ids that end a text (generation stops at any of them); may be empty. */
  readonly eosTokenIds: readonly number[];
  /** Layers, those included that have no block. */
  readonly layerCount: number;
  /** What blocks a layer has where none is gone, in the order in which it runs them. */
  readonly kinds: readonly string[];
  /** Of these kinds, those that stand in place of one another: a layer has one of them. */
  readonly eitherOf?: readonly string[];
  /** The blocks that it has, in the order in which it runs them. */
  readonly blocks: readonly Block[];
}

/**
 * Weights outside the blocks: the final norm's gain and bias, learned positions, whose rows are
 * added to those of the embedding, and a bias of the LM head.
 */
export type OuterPart = "finalNorm" | "finalNormBias" | "positions" | "lmHeadBias";

/** What is done to hidden states before the first block, and to logits. */
export interface OuterScaling {
  /** Rows of the embedding are multiplied with it. */
  readonly embedding?: number;
  /** Logits are multiplied with it. */
  readonly logits?: number;
  /** Logits z become cap · tanh(z / cap), after they are multiplied. */
  readonly logitCap?: number;
  /** Rows of the LM head have length 1 when they are used (Baichuan 2). */
  readonly unitHead?: true;
  /** The first token reads this row of the learned positions; 0 unless said (OPT: 2). */
  readonly positionOffset?: number;
}

/** Tokens that the attention of a layer reaches back, itself included, or null for all. */
export function attentionWindow(
  { blocks }: Pick<Architecture, "blocks">,
  layer: number,
): number | null {
  const attended = blocks.find((block) => block.layer === layer && block.attention);
  return attended?.attention?.window ?? null;
}

/**
 * Tokens up to which attention reaches back all the way in every layer that has attention; null for
 * any number.
 */
export function fullyAttended({ blocks }: Pick<Architecture, "blocks">): number | null {
  const windows = blocks.flatMap(({ attention }) => attention?.window ?? []);
  return windows.length === 0 ? null : Math.min(...windows);
}

/** Whether some of its blocks send tokens to experts. */
export function hasExperts({ blocks }: Pick<Architecture, "blocks">): boolean {
  return blocks.some(({ routing }) => routing !== undefined);
}

/** The rotary embedding of the first block that has one; null where none has. */
export function firstRope(architecture: Pick<Architecture, "blocks">): Rope | null {
  return ropesOf(architecture)[0] ?? null;
}

/** The different rotary embeddings of a model, in the order of its blocks. */
export function ropesOf({ blocks }: Pick<Architecture, "blocks">): readonly Rope[] {
  const found = new Map<string, Rope>();
  for (const { attention } of blocks) {
    if (!attention?.rope) continue;
    const key = ropeKey(attention.rope);
    if (!found.has(key)) found.set(key, attention.rope);
  }
  return [...found.values()];
}

/** The same for rotary embeddings that are alike. */
export function ropeKey(rope: Rope): string {
  return JSON.stringify(rope);
}

/** What is left of a model of this shape. */
export function withShape(architecture: Architecture, shape: Shape): Architecture {
  return { ...architecture, blocks: resizedBlocks(architecture.blocks, shape) };
}

/** Those of the blocks that a shape has, in its sizes. */
export function resizedBlocks(blocks: readonly Block[], shape: Shape): readonly Block[] {
  return blocks.flatMap((block, number) => {
    const size = shape[number];
    if (!size) return [];
    const dimensions = block.dimensions.map((one) => ({ ...one, units: size[one.name] }));
    return [block.routing ? resizedMixture(block, dimensions) : { ...block, dimensions }];
  });
}

/** A mixture with as many experts and units of each as its dimensions say. */
function resizedMixture(block: Block, dimensions: readonly Dimension[]): Block {
  const [{ units, groups }] = dimensions;
  const gone = block.dimensions[0].units - units;
  return {
    ...block,
    routing: routingOf(block.routing!, units, groups),
    dimensions: dimensions.map((one) =>
      one.owners === undefined ? one : { ...one, owners: one.owners - gone }
    ),
    weights: block.weights.map((weight) => ({
      ...weight,
      axes: weight.axes.map((axis) =>
        typeof axis === "number" || axis.from === undefined
          ? axis
          : { ...axis, from: axis.from - gone }
      ),
    })),
  };
}

/** The same model with some of its layers, in their order. */
export function keepLayers(architecture: Architecture, kept: readonly number[]): Architecture {
  const blocks = architecture.blocks.flatMap((block) => {
    const layer = kept.indexOf(block.layer);
    return layer < 0 ? [] : [{ ...block, id: blockId(layer, block.kind), layer }];
  });
  return {
    ...withKindsLeft(architecture, blocks, kept.length),
    layerCount: kept.length,
    blocks,
  };
}

/** Of kinds that stand in place of one another, those are left out that no layer has any more. */
function withKindsLeft(
  architecture: Architecture,
  blocks: readonly Block[],
  layers: number,
): Architecture {
  const { eitherOf, ...rest } = architecture;
  const those = blocks.filter(({ kind }) => eitherOf?.includes(kind));
  const [only, ...others] = new Set(those.map(({ kind }) => kind));
  if (!eitherOf || others.length > 0 || those.length < layers || layers === 0) return architecture;
  return { ...rest, kinds: rest.kinds.filter((kind) => kind === only || !eitherOf.includes(kind)) };
}

/** The numbers of the layers that have a block, ascending. */
export function layersWithBlocks({ blocks }: Pick<Architecture, "blocks">): readonly number[] {
  return [...new Set(blocks.map(({ layer }) => layer))];
}

/** What says which blocks a model's layers have. */
type LayerKinds = Pick<Architecture, "layerCount" | "kinds" | "eitherOf" | "blocks">;

/** Blocks that a layer has where none is gone. */
export function blocksOfLayer({ kinds, eitherOf = [] }: Omit<LayerKinds, "blocks">): number {
  return kinds.length - Math.max(0, eitherOf.length - 1);
}

/**
 * True when every layer has all its blocks, those of each kind in the same size, so that a plain
 * config describes the model.
 */
export function isUniform(architecture: LayerKinds): boolean {
  const { layerCount, blocks } = architecture;
  const first = new Map(blocks.toReversed().map((block) => [block.kind, block]));
  return layerCount > 0 && blocks.length === layerCount * blocksOfLayer(architecture) &&
    blocks.every((block) => areAlike(block, first.get(block.kind)!));
}
