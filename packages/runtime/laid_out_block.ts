import { type Axis, type Block, type KeptUnits, placesAlong, unitAxis } from "@lopper/core";
import { type Model, weightsOfBlock } from "@lopper/models";
import type { TensorInfo } from "@lopper/formats";
import type { BlockRoom } from "./block_room.ts";
import {
  gatherColumnsAsRows,
  gatherRows,
  readStored,
  staysHalf,
  type StoredTensor,
} from "./stored_tensor.ts";

/** A weight of a block; where its units lie along the columns, it is transposed. */
export interface LaidOutWeight {
  readonly tensor: StoredTensor;
  readonly rowLength: number;
  /** What the rows run over; the rows of a narrower block are the first ones. */
  readonly rows: Axis;
}

/** The first rows of a weight, those of a block of some size. */
export interface LaidOutRows {
  readonly name: string;
  readonly data: Float32Array;
  readonly rows: number;
}

export type LaidOutBlock = Map<string, LaidOutWeight>;

/**
 * Reads the weights of a block that are not stacked, its units in the order of `units`.
 * @param room takes what is laid out, and keeps it until another block is.
 */
export async function layOutBlock(
  model: Model,
  block: Block,
  units: KeptUnits,
  { float32, room }: { readonly float32: boolean; readonly room?: BlockRoom },
): Promise<LaidOutBlock> {
  const tensors = weightsOfBlock(model, block);
  const laidOut: LaidOutBlock = new Map();
  if (room) {
    const halves = halvesToLayOut(model, block);
    await room.read(model, halves);
    room.layOut(halves);
  }
  for (const weight of block.weights.filter(({ stacked }) => !stacked)) {
    const info = tensors.get(weight.name)!;
    const [rows, columns = 1] = info.shape;
    const axis = unitAxis(weight);
    const read = await readStored(model, info, { float32 }, room);
    if (!axis) {
      laidOut.set(weight.name, { tensor: read, rowLength: columns, rows });
      continue;
    }
    const indices = placesAlong(block, axis, units[axis.dimension]);
    const halves = room && ((length: number) => room.toLayOut(length));
    laidOut.set(
      weight.name,
      axis.at === 0
        ? { tensor: gatherRows(read, columns, indices, halves), rowLength: columns, rows: axis }
        : {
          tensor: gatherColumnsAsRows(read, columns, indices, halves),
          rowLength: rows,
          rows: axis,
        },
    );
  }
  return laidOut;
}

/**
 * The tensors of a block that are laid out in halves; what is laid out as it was read is not among
 * them, and has memory of its own.
 */
export function halvesToLayOut(model: Model, block: Block): readonly TensorInfo[] {
  const tensors = weightsOfBlock(model, block);
  return block.weights.filter((weight) => !weight.stacked && unitAxis(weight))
    .map(({ name }) => tensors.get(name)!)
    .filter(staysHalf);
}

/** Units of a dimension that are to lie in another ranking than they do. */
export interface Move {
  readonly declared: Pick<Block, "dimensions">;
  readonly dimension: string;
  readonly was: readonly number[];
  readonly is: readonly number[];
}

/** Lays the units of a dimension of a block out in another ranking, one tensor at a time. */
export function moveUnits(block: LaidOutBlock, { declared, dimension, was, is }: Move) {
  for (const [name, weight] of block) {
    const { tensor, rowLength, rows } = weight;
    if (typeof rows === "number" || rows.dimension !== dimension) continue;
    const now = placesAlong(declared, rows, was);
    const place = new Map(Array.from(now, (row, i) => [row, i]));
    const from = placesAlong(declared, rows, is).map((row) => place.get(row)!);
    const moved = gatherRows(tensor, rowLength, from);
    block.set(name, { ...weight, tensor: moved });
  }
}
