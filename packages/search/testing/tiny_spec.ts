import type { ModelSpec } from "@lopper/core";
import type { LayerSizes } from "@lopper/models";
import { type SpecChange, specOfLayers } from "@lopper/models/testing";

/** A model of these layers, small enough to count its parameters by hand. */
export function specOf(layers: readonly LayerSizes[], change: SpecChange = {}): ModelSpec {
  return specOfLayers(layers, { hiddenSize: 8, headDim: 4, vocabSize: 11, ...change });
}

/** The same of so many equal layers. */
export function tinySpec(layers: number, change: SpecChange = {}): ModelSpec {
  const layer = { attention: { queryHeads: 4, kvHeads: 2 }, mlp: { intermediateSize: 32 } };
  return specOf(Array.from({ length: layers }, () => layer), change);
}
