import {
  type Block,
  type BlockSize,
  commonMultiple,
  groupSize,
  headsOf,
  layersWithBlocks,
  outputProjection,
  sizeOf,
} from "@lopper/core";
import { deciWidth } from "@lopper/models";

/** A block in DeciLM's layout: one of the model's, filled up to a size. */
export interface DeciBlock {
  readonly block: Block;
  readonly size: BlockSize;
}

/** A layer in DeciLM's layout: one of the model's that has blocks. */
export interface DeciLayer {
  /** "zero" where the model has no attention and readers need one. */
  readonly attention: DeciBlock | "zero" | null;
  /** Of channels, a multiple of 256. */
  readonly mlp: DeciBlock | null;
}

export interface DeciShape {
  /** Query heads of every layer. */
  readonly queryHeads: number;
  readonly layers: readonly DeciLayer[];
}

/**
 * The shape that a model has in DeciLM's layout (vLLM, models/nemotron_nas.py). It knows one number
 * of query heads for all layers, which follow from the heads in a KV group, and widths that are
 * multiples of 256: what a layer has less is filled up. vLLM takes the residual from the first
 * attention, so one of zeros stands before an MLP that would come first; layers without blocks are
 * gone.
 */
export function deciShape({ blocks }: { readonly blocks: readonly Block[] }): DeciShape {
  const heads = blocks.filter(({ attention }) => attention).map((block) => headsOf(block));
  const most = Math.max(1, ...heads.map(({ queryHeads }) => queryHeads));
  // Whole KV groups of every size.
  const unit = commonMultiple(heads.map(groupSize));
  const queryHeads = Math.ceil(most / unit) * unit;
  const filled = (block: Block): DeciBlock => {
    const { dimension } = outputProjection(block).axes[1];
    const units = block.attention
      ? queryHeads / groupSize(headsOf(block))
      : deciWidth(sizeOf(block)[dimension]);
    return { block, size: { [dimension]: units } };
  };
  return {
    queryHeads,
    layers: layersWithBlocks({ blocks }).map((layer, i): DeciLayer => {
      const own = blocks.filter((block) => block.layer === layer);
      const [attention] = own.filter(({ attention }) => attention).map(filled);
      const [mlp] = own.filter(({ attention }) => !attention).map(filled);
      return { attention: attention ?? (i === 0 ? "zero" : null), mlp: mlp ?? null };
    }),
  };
}
