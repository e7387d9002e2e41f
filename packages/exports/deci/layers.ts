import {
  commonMultiple,
  groupSize,
  type LayerSpec,
  layersWithBlocks,
  type ModelSpec,
} from "@lopper/core";
import { deciWidth } from "@lopper/models";

/** A layer of DeciLM's layout. Heads and channels beyond those of the source are of zeros. */
export interface DeciLayer {
  /** The layer of the model that it is. */
  readonly source: number;
  /** `zero` where the model has no attention and readers need one. */
  readonly attention: { readonly kvHeads: number; readonly zero: boolean } | null;
  /** Channels, a multiple of 256. */
  readonly mlp: { readonly intermediateSize: number } | null;
}

export interface DeciShape {
  /** Query heads of every layer. */
  readonly queryHeads: number;
  readonly layers: readonly DeciLayer[];
}

/**
 * The shape that a model has in DeciLM's layout (vLLM, models/nemotron_nas.py). It knows one number of query heads for all
 * layers, which follow from the heads in a KV group, and widths that are multiples of 256: what a layer has less is filled up.
 * vLLM takes the residual from the first attention, so one of zeros stands before an MLP that would come first; layers
 * without blocks are gone.
 */
export function deciShape({ layers }: Pick<ModelSpec, "layers">): DeciShape {
  const groups = layers.flatMap(({ attention }) => attention ? [groupSize(attention)] : []);
  const most = Math.max(1, ...layers.map(({ attention }) => attention?.queryHeads ?? 0));
  // Whole KV groups of every size.
  const unit = commonMultiple(groups);
  const queryHeads = Math.ceil(most / unit) * unit;
  const kept = layersWithBlocks(layers);
  return {
    queryHeads,
    layers: kept.map((source, i): DeciLayer => {
      const { attention, mlp }: LayerSpec = layers[source];
      return {
        source,
        attention: attention
          ? { kvHeads: queryHeads / groupSize(attention), zero: false }
          : i === 0
          ? { kvHeads: 1, zero: true }
          : null,
        mlp: mlp && { intermediateSize: deciWidth(mlp.intermediateSize) },
      };
    }),
  };
}
