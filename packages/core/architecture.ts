import { areAlike, type Block, blockId, type Shape } from "./block.ts";

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
  readonly rmsNormEps: number;
  /** The LM head is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  readonly rope: Rope;
  /**
   * Tokens that attention reaches back at most, itself included, in layers that have such a window;
   * null where none has.
   */
  readonly slidingWindow: number | null;
  /**
   * Layers whose attention reaches back all the way beside others with a window, ascending; absent
   * where there are none.
   */
  readonly fullAttention?: readonly number[];
  /** Token ids that end a text (generation stops at any of them); may be empty. */
  readonly eosTokenIds: readonly number[];
  /** Layers, those included that have no block. */
  readonly layerCount: number;
  /** What blocks a layer has where none is gone, in the order in which it runs them. */
  readonly kinds: readonly string[];
  /** The blocks that it has, in the order in which it runs them. */
  readonly blocks: readonly Block[];
}

/**
 * Rotary position embedding (RoFormer, arXiv 2104.09864) with the scalings of the families read
 * here.
 */
export interface Rope {
  readonly theta: number;
  readonly scaling: RopeScaling | null;
}

export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFrequencyFactor: number;
    readonly highFrequencyFactor: number;
    readonly originalMaxPositions: number;
  };

/** How far attention reaches back, as a model's description has it. */
export type AttentionWindows = Pick<Architecture, "slidingWindow" | "fullAttention">;

/**
 * How a model is described whose layers have these windows, null for none. All that have one have
 * the same.
 */
export function windowsOf(windows: readonly (number | null)[]): AttentionWindows {
  const slidingWindow = windows.find((window) => window !== null) ?? null;
  if (slidingWindow === null) return { slidingWindow };
  const fullAttention = windows.flatMap((window, layer) => window === null ? [layer] : []);
  return { slidingWindow, ...(fullAttention.length > 0 && { fullAttention }) };
}

/** Tokens that the attention of a layer reaches back, itself included, or null for all. */
export function attentionWindow(
  { slidingWindow, fullAttention }: AttentionWindows,
  layer: number,
): number | null {
  return fullAttention?.includes(layer) ? null : slidingWindow;
}

/**
 * Tokens up to which attention reaches back all the way in every layer that has attention; null for
 * any number.
 */
export function fullyAttended(architecture: Architecture): number | null {
  const windows = architecture.blocks.flatMap(({ attended, layer }) =>
    attended ? attentionWindow(architecture, layer) ?? [] : []
  );
  return windows[0] ?? null;
}

/** Tokens of the longest sequence that a model takes, and attends to as a whole. */
export function longestSequence(architecture: Architecture): number {
  return Math.min(architecture.maxPositions, fullyAttended(architecture) ?? Infinity);
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
    const dimensions = block.dimensions.map(({ name }) => ({ name, units: size[name] }));
    return [{ ...block, dimensions }];
  });
}

/** The same model with some of its layers, in their order. */
export function keepLayers(architecture: Architecture, kept: readonly number[]): Architecture {
  const { slidingWindow: _, fullAttention: __, ...rest } = architecture;
  return {
    ...rest,
    ...windowsOf(kept.map((layer) => attentionWindow(architecture, layer))),
    layerCount: kept.length,
    blocks: architecture.blocks.flatMap((block) => {
      const layer = kept.indexOf(block.layer);
      return layer < 0 ? [] : [{ ...block, id: blockId(layer, block.kind), layer }];
    }),
  };
}

/** The numbers of the layers that have a block, ascending. */
export function layersWithBlocks({ blocks }: Pick<Architecture, "blocks">): readonly number[] {
  return [...new Set(blocks.map(({ layer }) => layer))];
}

/**
 * True when every layer has a block of each kind, in the same size as the others, so that a plain
 * config describes the model.
 */
export function isUniform(
  { layerCount, kinds, blocks }: Pick<Architecture, "layerCount" | "kinds" | "blocks">,
): boolean {
  return layerCount > 0 && blocks.length === layerCount * kinds.length &&
    blocks.every((block, i) => areAlike(block, blocks[i % kinds.length]));
}
