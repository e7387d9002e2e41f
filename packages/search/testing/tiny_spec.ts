import type { LayerSpec, ModelSpec } from "@lopper/core";

/** A model of these layers, small enough to count its parameters by hand. */
export function specOf(
  layers: readonly LayerSpec[],
  change: Partial<Omit<ModelSpec, "layers">> = {},
): ModelSpec {
  return {
    family: "llama",
    hiddenSize: 8,
    headDim: 4,
    vocabSize: 11,
    maxPositions: 64,
    rmsNormEps: 1e-5,
    tiedEmbeddings: true,
    biases: { qkv: false, output: false, mlp: false },
    qkNorm: false,
    rope: { theta: 10_000, scaling: null },
    slidingWindow: null,
    eosTokenIds: [],
    ...change,
    layers,
  };
}

/** The same of so many equal layers. */
export function tinySpec(layers: number): ModelSpec {
  return specOf(Array.from({ length: layers }, () => ({
    attention: { queryHeads: 4, kvHeads: 2 },
    mlp: { intermediateSize: 32 },
  })));
}
