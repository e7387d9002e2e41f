import type { Block } from "@lopper/core";

/** A block of a GGUF layer: one of the model's, or one that adds nothing to the hidden states. */
export type PlacedBlock = Block | "zero";

/** A layer as llama.cpp runs it; a null attention is one that it leaves out. */
export interface GgufLayer {
  readonly attention: PlacedBlock | null;
  readonly mlp: PlacedBlock;
}

/**
 * The model's blocks, in their order, as layers that llama.cpp computes rightly (llama.cpp,
 * models/deci.cpp). It leaves a layer without a feed-forward before the output of attention is
 * added, and takes the shape of its cache from layer 0. So an attention is put together with the
 * MLP that follows it, wherever that was; where another attention follows, or nothing, a
 * feed-forward of zeros stands; and layer 0 begins with an attention of zeros where the first block
 * is an MLP. Layers without blocks are gone.
 */
export function ggufLayers(blocks: readonly Block[]): readonly GgufLayer[] {
  const placed: GgufLayer[] = [];
  let waiting: Block | null = null;
  for (const block of blocks) {
    if (block.attention) {
      if (waiting) placed.push({ attention: waiting, mlp: "zero" });
      waiting = block;
      continue;
    }
    const first = placed.length === 0 ? "zero" as const : null;
    placed.push({ attention: waiting ?? first, mlp: block });
    waiting = null;
  }
  if (waiting) placed.push({ attention: waiting, mlp: "zero" });
  // A model of no blocks is one of two that add nothing.
  if (placed.length === 0) placed.push({ attention: "zero", mlp: "zero" });
  return placed;
}

/** The same layers for an architecture that computes none without attention. */
export function withAttention(layers: readonly GgufLayer[]): readonly GgufLayer[] {
  return layers.map(({ attention, mlp }) => ({ attention: attention ?? "zero", mlp }));
}
