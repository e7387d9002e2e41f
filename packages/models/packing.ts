import {
  type Architecture,
  type Block,
  type DeclaredWeight,
  headsOf,
  sizeOf,
  weightShape,
} from "@lopper/core";
import type { Strided, StridedAxis } from "@lopper/formats";
import { blockTensorName, type Family, type PackedTensor } from "./families/family.ts";

/** A tensor of a checkpoint that holds weights of a block. */
export interface StoredPack {
  readonly name: string;
  readonly shape: readonly number[];
  /** What lies in it, in the order of the rows. */
  readonly weights: readonly PackedWeight[];
}

/** A weight as it lies in one tensor, or a part of it: of one expert or head where each has one. */
export interface PackedWeight {
  readonly weight: string;
  /** The name under which it is offered. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly strided: Strided;
  /** The number of the part, along the first axis, and how many there are. */
  readonly part: number;
  readonly parts: number;
}

/** The tensors in which a checkpoint of a model holds weights in the ways of `packing`. */
export function packsOf(
  { blocks }: Pick<Architecture, "blocks">,
  family: Family,
  packing: readonly PackedTensor[] = family.packing ?? [],
): readonly StoredPack[] {
  return blocks.flatMap((block) =>
    packing.filter(({ kind }) => kind === undefined || kind === block.kind)
      .flatMap((packed) => packsOfBlock(block, family, packed))
  );
}

function packsOfBlock(
  block: Block,
  family: Family,
  packed: PackedTensor,
): readonly StoredPack[] {
  const weights = packed.weights.flatMap((name) =>
    block.weights.filter((weight) => weight.name === name)
  );
  if (weights.length === 0) return [];
  const shapes = weights.map((weight) => weightShape(weight, sizeOf(block)));
  const separate = packed.tensor.includes("{e}");
  const leading = packed.stacked || separate ? 1 : 0;
  const stacked = leading && !separate ? [shapes[0][0]] : [];
  const headRows = packed.tensor.includes("{h}") ? headsOf(block).headDim : null;
  const parts = headRows !== null ? shapes[0][0] / headRows : separate ? shapes[0][0] : 1;
  const columns = shapes[0].at(leading + 1);
  const places = headRows === null
    ? rowsOf(block, weights, leading, packed)
    : [{ start: 0, axes: [{ length: headRows, stride: 1 }] }];
  const rows = headRows ?? shapes.reduce((sum, shape) => sum + shape[leading], 0);
  const matrix = columns === undefined ? [rows] : [rows, columns];
  const inMatrix = places.map((place) => stridedIn(place, { ...packed, rows, columns, stacked }));
  const own = family.tensorNames.layer.replace("{l}", String(block.layer)) + packed.tensor;
  return Array.from({ length: parts }, (_, part) => ({
    name: own.replace(/\{[eh]\}/, String(part)),
    shape: [
      ...stacked,
      ...(packed.row ? [1] : []),
      ...(packed.transposed ? matrix.toReversed() : matrix),
    ],
    weights: weights.map(({ name }, i) => ({
      weight: name,
      name: blockTensorName(family, block, name),
      shape: shapes[i],
      strided: inMatrix[i],
      ...{ part, parts },
    })),
  }));
}

/** Rows of a stored matrix as values of it. */
function stridedIn(
  { start, axes }: Strided,
  { rows, columns = 1, stacked, transposed }: {
    readonly rows: number;
    readonly columns?: number;
    readonly stacked: readonly number[];
    readonly transposed?: true;
  },
): Strided {
  const [byRow, byColumn] = transposed ? [1, rows] : [columns, 1];
  return {
    start: start * byRow,
    axes: [
      ...stacked.map((length) => ({ length, stride: rows * columns })),
      ...axes.map(({ length, stride }) => ({ length, stride: stride * byRow })),
      { length: columns, stride: byColumn },
    ],
  };
}

/** Which rows of the stored matrix are those of each weight. */
function rowsOf(
  block: Block,
  weights: readonly DeclaredWeight[],
  leading: number,
  { byUnit }: PackedTensor,
): readonly Strided[] {
  const size = sizeOf(block);
  let start = 0;
  if (!byUnit) {
    return weights.map((weight) => {
      const length = weightShape(weight, size)[leading];
      const axes: readonly StridedAxis[] = [{ length, stride: 1 }];
      start += length;
      return { start: start - length, axes };
    });
  }
  // Rows that belong to no unit are by themselves.
  const axes = weights.map((weight) => {
    const axis = weight.axes[leading];
    return typeof axis === "number"
      ? { units: axis, width: 1 }
      : { units: size[axis.dimension], width: axis.width };
  });
  const together = axes.reduce((sum, { width }) => sum + width, 0);
  return axes.map(({ units, width }) => {
    start += width;
    return {
      start: start - width,
      axes: [{ length: units, stride: together }, { length: width, stride: 1 }],
    };
  });
}
