import type { AttentionShape, LayerSpec, MlpShape } from "@lopper/core";

/** A block of a GGUF layer: one of the model's, by its layer there, or one that adds nothing to the residual. */
export type PlacedBlock<Shape> =
  | { readonly source: number; readonly shape: Shape }
  | { readonly source: "zero" };

/** A layer as llama.cpp runs it; a null attention is one that it leaves out. */
export interface GgufLayer {
  readonly attention: PlacedBlock<AttentionShape> | null;
  readonly mlp: PlacedBlock<MlpShape>;
}

/**
 * The model's blocks, in their order, as layers that llama.cpp computes rightly (llama.cpp, models/deci.cpp). It leaves a
 * layer without a feed-forward before the output of attention is added, and takes the shape of its cache from layer 0. So an
 * attention is put together with the MLP that follows it, wherever that was; where another attention follows, or nothing, a
 * feed-forward of zeros stands; and layer 0 begins with an attention of zeros where the first block is an MLP. Layers
 * without blocks are gone.
 */
export function ggufLayers(layers: readonly LayerSpec[]): readonly GgufLayer[] {
  const placed: GgufLayer[] = [];
  let waiting: PlacedBlock<AttentionShape> | null = null;
  for (const [source, { attention, mlp }] of layers.entries()) {
    if (attention) {
      if (waiting) placed.push({ attention: waiting, mlp: { source: "zero" } });
      waiting = { source, shape: attention };
    }
    if (mlp) {
      const first = placed.length === 0 ? { source: "zero" } as const : null;
      placed.push({ attention: waiting ?? first, mlp: { source, shape: mlp } });
      waiting = null;
    }
  }
  if (waiting) placed.push({ attention: waiting, mlp: { source: "zero" } });
  // A model of no blocks is one of two that add nothing.
  if (placed.length === 0) placed.push({ attention: { source: "zero" }, mlp: { source: "zero" } });
  return placed;
}
