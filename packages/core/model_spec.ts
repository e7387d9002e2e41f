import type { NormPlacement } from "./block.ts";

/**
 * A decoder-only language model as per-layer shapes. Heterogeneous layers are normal: a pruned model is described like
 * any other, and opening, scoring, pruning again and writing need no special case for it.
 */
export interface ModelSpec {
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
  readonly biases: Biases;
  /** An RMS norm over each query and key head (Qwen3), or "full", over all of them (OLMo 2), before rotary embedding. */
  readonly qkNorm: boolean | "full";
  /** Where the norms of blocks are. What says nothing means "pre": digests of models are older than this key. */
  readonly placement?: NormPlacement;
  readonly rope: RopeSpec;
  /** Tokens that attention reaches back at most, itself included, in layers that have such a window; null where none has. */
  readonly slidingWindow: number | null;
  /** Layers whose attention reaches back all the way beside others with a window, ascending; absent where there are none. */
  readonly fullAttention?: readonly number[];
  /** Token ids that end a text (generation stops at any of them); may be empty. */
  readonly eosTokenIds: readonly number[];
  readonly layers: readonly LayerSpec[];
}

export interface Biases {
  readonly qkv: boolean;
  readonly output: boolean;
  readonly mlp: boolean;
}

/** Rotary position embedding (RoFormer, arXiv 2104.09864) with the scalings of the families read here. */
export interface RopeSpec {
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

/** One decoder layer; `null` means that the block was removed. */
export interface LayerSpec {
  readonly attention: AttentionShape | null;
  readonly mlp: MlpShape | null;
}

/** `queryHeads` is a multiple of `kvHeads`; a KV group is one KV head with the query heads that read it. */
export interface AttentionShape {
  readonly queryHeads: number;
  readonly kvHeads: number;
}

export interface MlpShape {
  readonly intermediateSize: number;
}

/** The two kinds of residual block, h ← h + f(norm(h)), in the order in which a layer runs them. */
export type BlockKind = "attention" | "mlp";
export const BLOCK_KINDS: readonly BlockKind[] = ["attention", "mlp"];

/** A residual block by position: layer l's attention is block 2l, its MLP block 2l + 1. */
export interface BlockRef {
  readonly layer: number;
  readonly kind: BlockKind;
}

export function blockIndex({ layer, kind }: BlockRef): number {
  return 2 * layer + (kind === "attention" ? 0 : 1);
}

export function blockAt(index: number): BlockRef {
  return { layer: index >> 1, kind: index % 2 === 0 ? "attention" : "mlp" };
}

/** Query heads per KV head of a layer. */
export function groupSize(attention: AttentionShape): number {
  return attention.queryHeads / attention.kvHeads;
}

/** Inputs of a block's projection back into the hidden states: intermediate or query channels; 0 where it is removed. */
export function innerWidth(
  { headDim }: Pick<ModelSpec, "headDim">,
  { attention, mlp }: LayerSpec,
  kind: BlockKind,
): number {
  return kind === "mlp" ? mlp?.intermediateSize ?? 0 : (attention?.queryHeads ?? 0) * headDim;
}

/** Inputs of the widest projection back into the hidden states; 1 where there is no block. */
export function widestInner(spec: Pick<ModelSpec, "headDim" | "layers">): number {
  const widths = spec.layers.flatMap((layer) =>
    BLOCK_KINDS.map((kind) => innerWidth(spec, layer, kind))
  );
  return Math.max(1, ...widths);
}

/** How far attention reaches back, as a model's description has it. */
export type AttentionWindows = Pick<ModelSpec, "slidingWindow" | "fullAttention">;

/** How a model is described whose layers have these windows, null for none. All that have one have the same. */
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

/** Tokens up to which attention reaches back all the way in every layer that has attention; null for any number. */
export function fullyAttended(spec: ModelSpec): number | null {
  const windows = spec.layers.flatMap(({ attention }, layer) =>
    attention ? attentionWindow(spec, layer) ?? [] : []
  );
  return windows[0] ?? null;
}

/** Tokens of the longest sequence that a model takes, and attends to as a whole. */
export function longestSequence(spec: ModelSpec): number {
  return Math.min(spec.maxPositions, fullyAttended(spec) ?? Infinity);
}

/** The same model with other layer shapes. */
export function withLayers(spec: ModelSpec, layers: readonly LayerSpec[]): ModelSpec {
  return { ...spec, layers };
}

/** The same model with some of its layers, in their order. */
export function keepLayers(spec: ModelSpec, kept: readonly number[]): ModelSpec {
  const { slidingWindow: _, fullAttention: __, ...rest } = spec;
  return {
    ...rest,
    ...windowsOf(kept.map((layer) => attentionWindow(spec, layer))),
    layers: kept.map((layer) => spec.layers[layer]),
  };
}

/** Layers with one changed; the others are shared. */
export function replaceLayer(
  layers: readonly LayerSpec[],
  index: number,
  change: Partial<LayerSpec>,
): readonly LayerSpec[] {
  return layers.map((layer, i) => i === index ? { ...layer, ...change } : layer);
}

/** The numbers of the layers that have a block left. */
export function layersWithBlocks(layers: readonly LayerSpec[]): readonly number[] {
  return layers.flatMap(({ attention, mlp }, layer) => attention || mlp ? [layer] : []);
}

/** True when every layer has both blocks and the same widths, so that a plain config describes the model. */
export function isUniform(layers: readonly LayerSpec[]): boolean {
  const first = layers[0];
  if (!first?.attention || !first.mlp) return false;
  const { queryHeads, kvHeads } = first.attention;
  const { intermediateSize } = first.mlp;
  return layers.every(({ attention, mlp }) =>
    attention?.queryHeads === queryHeads && attention.kvHeads === kvHeads &&
    mlp?.intermediateSize === intermediateSize
  );
}
