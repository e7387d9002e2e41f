import { axisIndices, type BlockRef, groupSize, type ModelSpec } from "@lopper/core";
import { type BlockWeight, type Model, weightsOfBlock } from "@lopper/models";
import { gatherColumnsAsRows, gatherRows, readStored, type StoredTensor } from "./stored_tensor.ts";

/** A weight of a block; `rowLength` is 1 for a bias or a norm. */
export interface LaidOutWeight {
  readonly tensor: StoredTensor;
  readonly rowLength: number;
  /** What the rows run over; the rows of a narrower block are the first ones. */
  readonly span: "channel" | "query" | "kv" | null;
}

export type LaidOutBlock = Map<BlockWeight, LaidOutWeight>;

/** What a block is called in maps. */
export function blockKey({ layer, kind }: BlockRef): string {
  return `${layer}.${kind}`;
}

/** Channels of a KV group along the axes of a layer's attention. */
export interface UnitShape {
  readonly headDim: number;
  readonly queriesPerGroup: number;
}

export function unitShape({ headDim, layers }: ModelSpec, layer: number): UnitShape {
  const { attention } = layers[layer];
  return { headDim, queriesPerGroup: attention ? groupSize(attention) : 1 };
}

/** Reads the weights of a block, its units in the order of `units`. */
export async function layOutBlock(
  model: Model,
  ref: BlockRef,
  units: readonly number[],
  options: { float32: boolean },
): Promise<LaidOutBlock> {
  const { spec, family } = model;
  const shape = unitShape(spec, ref.layer);
  const laidOut: LaidOutBlock = new Map();
  for (const [weight, info] of weightsOfBlock(model, ref)) {
    const read = await readStored(model, info, options);
    const axis = family.pruneGroups[ref.kind].axes.find((a) => a.weight === weight);
    const [rows, columns = 1] = info.shape;
    if (!axis) {
      laidOut.set(weight, { tensor: read, rowLength: 1, span: null });
      continue;
    }
    const indices = axisIndices(axis.span, units, shape);
    const tensor = axis.axis === 0
      ? gatherRows(read, columns, indices)
      : gatherColumnsAsRows(read, columns, indices);
    laidOut.set(weight, { tensor, rowLength: axis.axis === 0 ? columns : rows, span: axis.span });
  }
  return laidOut;
}

/**
 * Lays the units of a block out in another order, one tensor at a time.
 * @param places for each place the one where its unit lies now.
 */
export function moveUnits(block: LaidOutBlock, places: readonly number[], shape: UnitShape) {
  for (const [name, weight] of block) {
    const { tensor, rowLength, span } = weight;
    if (span === null) continue;
    const moved = gatherRows(tensor, rowLength, axisIndices(span, places, shape));
    block.set(name, { ...weight, tensor: moved });
  }
}
