import type { Architecture } from "@lopper/core";
import type { LayerSizes } from "@lopper/models";
import { type ArchitectureChange, architectureOfLayers } from "@lopper/models/testing";

/** A model of these layers, small enough to count its parameters by hand. */
export function architectureOf(
  layers: readonly LayerSizes[],
  change: ArchitectureChange = {},
): Architecture {
  return architectureOfLayers(layers, { hiddenSize: 8, headDim: 4, vocabSize: 11, ...change });
}

/** The same of so many equal layers. */
export function tinyArchitecture(layers: number, change: ArchitectureChange = {}): Architecture {
  const layer = { attention: { queryHeads: 4, kvHeads: 2 }, mlp: { intermediateSize: 32 } };
  return architectureOf(Array.from({ length: layers }, () => layer), change);
}
