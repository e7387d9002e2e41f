import { type Architecture, type BlockSize, type Shape, withShape } from "@lopper/core";
import type { Family, Trait } from "../families/family.ts";
import { blocksOfLayers, type LayerSizes, layersOfBlocks } from "../families/layer_blocks.ts";
import { llama } from "../families/llama.ts";

/** What a test wants otherwise. */
export interface ArchitectureChange
  extends
    Partial<Omit<Architecture, "layerCount" | "kinds" | "blocks">>,
    Partial<Pick<Family, "placement" | "qkNorm">> {
  readonly traits?: readonly Trait[];
}

/** A small model of Llama's family with layers of these sizes. */
export function architectureOfLayers(
  layers: readonly LayerSizes[],
  change: ArchitectureChange = {},
): Architecture {
  const { placement = llama.placement, qkNorm = llama.qkNorm, traits = [], ...rest } = change;
  const common = {
    family: llama.modelType,
    hiddenSize: 48,
    headDim: 16,
    vocabSize: 100,
    maxPositions: 64,
    rmsNormEps: 1e-6,
    tiedEmbeddings: true,
    rope: { theta: 10_000, scaling: null },
    slidingWindow: null,
    eosTokenIds: [],
    ...rest,
  };
  const has = new Set<Trait>(qkNorm === false ? traits : [...traits, "qkNorm"]);
  return {
    ...common,
    layerCount: layers.length,
    kinds: llama.blocks.map(({ kind }) => kind),
    blocks: blocksOfLayers({ ...llama, placement, qkNorm }, { ...common, traits: has }, layers),
  };
}

/** The sizes of a model's blocks where its layers have these sizes. */
export function shapeOfLayers({ blocks }: Architecture, layers: readonly LayerSizes[]): Shape {
  return blocks.map(({ layer, attended }): BlockSize | null => {
    const { attention, mlp } = layers[layer];
    return attended
      ? attention && { kvGroups: attention.kvHeads }
      : mlp && { channels: mlp.intermediateSize };
  });
}

/** The converse. */
export function layersOfShape(architecture: Architecture, shape: Shape): readonly LayerSizes[] {
  return layersOfBlocks(withShape(architecture, shape));
}
