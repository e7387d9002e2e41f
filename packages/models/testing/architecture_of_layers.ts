import {
  type Architecture,
  type Attention,
  type Block,
  type BlockSize,
  type Shape,
  withShape,
} from "@lopper/core";
import type { Family, Trait } from "../families/family.ts";
import { blocksOfLayers, type LayerSizes, layersOfBlocks } from "../families/layer_blocks.ts";
import { llama } from "../families/llama.ts";

/** What a test wants otherwise. */
export interface ArchitectureChange
  extends
    Partial<Omit<Architecture, "layerCount" | "kinds" | "blocks" | "norm">>,
    Partial<Pick<Family, "placement" | "norm">> {
  /** Norms of queries and keys, of each head or over all of them. */
  readonly qkNorm?: boolean | "full";
  /** Of all blocks that are attended. */
  readonly attention?: Partial<Omit<Attention, "channels">>;
  readonly traits?: readonly Trait[];
}

/** A small model of Llama's family with layers of these sizes. */
export function architectureOfLayers(
  layers: readonly LayerSizes[],
  change: ArchitectureChange = {},
): Architecture {
  const { placement = llama.placement, norm = llama.norm, ...others } = change;
  const { qkNorm = false, traits = [], attention = {}, ...rest } = others;
  const common = {
    family: llama.modelType,
    hiddenSize: 48,
    headDim: 16,
    vocabSize: 100,
    maxPositions: 64,
    norm: { kind: norm, eps: 1e-6 },
    outer: llama.outer,
    tiedEmbeddings: true,
    eosTokenIds: [],
    ...rest,
  };
  const has = new Set<Trait>(qkNorm === false ? traits : [...traits, "qkNorm"]);
  const qkNormOver = qkNorm === "full" ? "all heads" : "head";
  const { hiddenSize, headDim } = common;
  const seen = {
    scale: 1 / Math.sqrt(headDim),
    rope: { theta: 10_000, scaling: null },
    window: null,
    softCap: null,
    ...attention,
  };
  return {
    ...common,
    layerCount: layers.length,
    kinds: llama.blocks.map(({ kind }) => kind),
    blocks: blocksOfLayers(
      { ...llama, placement, qkNormOver },
      { hiddenSize, headDim, traits: has, attention: layers.map(() => seen) },
      layers,
    ),
  };
}

/** The sizes of a model's blocks where its layers have these sizes. */
export function shapeOfLayers({ blocks }: Architecture, layers: readonly LayerSizes[]): Shape {
  return blocks.map((block): BlockSize | null => {
    const { attention, mlp } = layers[block.layer];
    return block.attention
      ? attention && { kvGroups: attention.kvHeads }
      : mlp && { channels: mlp.intermediateSize };
  });
}

/** The converse. */
export function layersOfShape(architecture: Architecture, shape: Shape): readonly LayerSizes[] {
  return layersOfBlocks(withShape(architecture, shape));
}

/** The same model whose tokens see one another in another way in some layers, or in all. */
export function withAttention<T extends Pick<Architecture, "blocks">>(
  architecture: T,
  change: (layer: number) => Partial<Attention>,
): T {
  const blocks = architecture.blocks.map((block): Block =>
    block.attention
      ? { ...block, attention: { ...block.attention, ...change(block.layer) } }
      : block
  );
  return { ...architecture, blocks };
}
