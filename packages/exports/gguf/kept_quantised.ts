import {
  type Axis,
  type Block,
  type DeclaredWeight,
  DTYPE_BYTES,
  ExportError,
  type FloatDType,
  keptByOwner,
  keptOf,
  type KeptUnits,
  ownedAxis,
  placesAlong,
  type PrunePlan,
} from "@lopper/core";
import {
  fromFloat32,
  GgufTensorStore,
  TENSOR_TYPES,
  type TensorTypeName,
  toFloat32,
} from "@lopper/formats";
import {
  areInterleaved,
  type GgufArchitecture,
  isRotated,
  type Model,
  type Weight,
} from "@lopper/models";
import { interleavedRows } from "./interleaved.ts";
import { packedName } from "./packed.ts";

type GgufTensorType = NonNullable<ReturnType<GgufTensorStore["stored"]>>["type"];

/** Where the quantised bytes of a model are that stay as they are. */
export interface QuantisedSource {
  /** Opened from a GGUF file. */
  readonly model: Model;
  /** What was kept of it. */
  readonly plan: PrunePlan;
}

/** A matrix of the result whose bytes are in the source. */
export interface KeptTensor {
  readonly type: TensorTypeName;
  data(): Promise<Uint8Array>;
}

/**
 * The matrices of a model that are copied from the file from which it was pruned, by their names in
 * the model: those of which whole rows stay, or whole blocks of every row, and whose values are
 * still what the blocks say.
 * @throws {ExportError} when the model is not what the plan keeps of the source.
 */
export async function keptQuantised(
  model: Model,
  arch: GgufArchitecture,
  { model: source, plan }: QuantisedSource,
): Promise<ReadonlyMap<string, KeptTensor>> {
  const { store } = source;
  if (!(store instanceof GgufTensorStore)) return new Map();
  const kept = keptOf(source.architecture, plan);
  const places = kept.flatMap((units, i) => units ? [i] : []);
  const { blocks } = model.architecture;
  const origin = source.architecture.blocks;
  if (
    places.length !== blocks.length || places.some((at, i) => origin[at].kind !== blocks[i].kind)
  ) {
    throw new ExportError(
      `${model.name}: it is not what its plan keeps of ${source.name}, so nothing can be copied`,
    );
  }
  const found = new Map<string, KeptTensor>();
  for (const weight of model.weights) {
    // Its rows are written with length 1, whatever the source has.
    if (model.architecture.scaling?.unitHead && weight.role.part === "lmHead") continue;
    const from = sourceOf(weight, model, source, places);
    const stored = from && store.stored(from.tensor.name);
    if (!stored || !Object.hasOwn(TENSOR_TYPES, stored.type.name)) continue;
    const { tensor, place } = from;
    const parts = inBlocks(
      place ? staying(place, kept[place.block]!, tensor.shape) : [ALL],
      stored.type.blockSize,
    );
    if (!parts) continue;
    const headRows = areInterleaved(arch, model.architecture) && isRotated(weight.role)
      ? model.architecture.headDim
      : 0;
    const data = async () => {
      const bytes = await readAll(stored, parts);
      // A file of another architecture may have rows of heads in another order.
      return headRows > 0 && stored.interleavedRows === 0
        ? interleavedRows(bytes, bytes.length / rowsOf(weight), headRows)
        : bytes;
    };
    if (!await areTheirs(await data(), stored.type, weight, { model, headRows })) continue;
    found.set(weight.tensor.name, { type: stored.type.name as TensorTypeName, data });
  }
  return wherePartsAgree(found, model, arch);
}

function rowsOf({ tensor: { shape } }: Weight): number {
  return shape.slice(0, -1).reduce((all, length) => all * length, 1);
}

/** Without those that are parts of one tensor of the file of which others are of another type. */
function wherePartsAgree(
  found: ReadonlyMap<string, KeptTensor>,
  { weights }: Model,
  arch: GgufArchitecture,
): ReadonlyMap<string, KeptTensor> {
  const groups = Map.groupBy(
    weights,
    ({ role }) => "layer" in role ? packedName(arch, role, role.layer) : null,
  );
  const split = [...groups].flatMap(([name, group]) => {
    const types = new Set(group.map(({ tensor }) => found.get(tensor.name)?.type));
    return name !== null && types.size > 1 ? group.map(({ tensor }) => tensor.name) : [];
  });
  return new Map([...found].filter(([name]) => !split.includes(name)));
}

/** The weight of the source that a weight is a part of. */
function sourceOf(
  { role }: Weight,
  { architecture: { blocks } }: Model,
  source: Model,
  places: readonly number[],
) {
  if (!("layer" in role)) {
    const whole = source.weights.find((weight) => weight.role.part === role.part);
    return whole && { tensor: whole.tensor, place: null };
  }
  const at = blocks.findIndex(({ layer, kind }) => layer === role.layer && kind === role.part);
  const block = places[at];
  const described = source.architecture.blocks[block];
  const { layer, kind, weights } = described;
  const part = source.weights.find((weight) =>
    "layer" in weight.role && weight.role.layer === layer && weight.role.part === kind &&
    weight.role.weight === role.weight
  );
  const declared = weights.find(({ name }) => name === role.weight)!;
  return part && { tensor: part.tensor, place: { block, described, declared } };
}

/** Rows of a weight, and columns or blocks of them, that stay; null for all. */
interface Staying {
  readonly rows: Uint32Array | null;
  readonly columns: Uint32Array | null;
}

const ALL: Staying = { rows: null, columns: null };

/** Where a weight is declared in the source. */
interface Declared {
  readonly described: Block;
  readonly declared: DeclaredWeight;
}

/**
 * What stays of a weight that lies row by row, whatever the number of its axes: an expert is many
 * rows of a stacked one. In parts one behind the other where experts keep other channels each.
 */
function staying(
  { described, declared }: Declared,
  kept: KeptUnits,
  shape: readonly number[],
): readonly Staying[] {
  const { axes } = declared;
  const own = ownedAxis(declared) && keptByOwner(described, kept);
  const owned = ownedAxis(declared);
  const among = (axis: Axis, i: number) =>
    typeof axis === "number" || i === owned?.at
      ? null
      : placesAlong(described, axis, kept[axis.dimension]);
  if (!own) return [inRows(axes.map(among), shape)];
  const at = owned!.at;
  return kept[described.dimensions[0].name].map((expert) =>
    inRows(
      axes.map((_, i) =>
        i === 0 ? Uint32Array.of(expert) : i === at ? Uint32Array.from(own[expert]) : null
      ),
      shape,
    )
  );
}

/** @param along places that stay along each axis; null for all. */
function inRows(along: readonly (Uint32Array | null)[], shape: readonly number[]): Staying {
  const outer = along.slice(0, -1);
  const rows = outer.every((places) => places === null) ? null : outer.reduce<number[]>(
    (before, places, i) => {
      const those = places ?? Uint32Array.from({ length: shape[i] }, (_, place) => place);
      return before.flatMap((row) => Array.from(those, (place) => row * shape[i] + place));
    },
    [0],
  );
  return { rows: rows && Uint32Array.from(rows), columns: along.at(-1) ?? null };
}

/** The same with numbers of blocks in place of columns; null where one is filled in part. */
function inBlocks(parts: readonly Staying[], size: number): readonly Staying[] | null {
  const found = parts.map(({ rows, columns }) => ({
    ...{ rows, columns: columns && wholeBlocks(columns, size) },
    isWhole: columns === null || wholeBlocks(columns, size) !== null,
  }));
  return found.every(({ isWhole }) => isWhole) ? found : null;
}

async function readAll(
  stored: NonNullable<ReturnType<GgufTensorStore["stored"]>>,
  parts: readonly Staying[],
): Promise<Uint8Array> {
  if (parts.length === 1) return await stored.read(parts[0].rows, parts[0].columns);
  const read: Uint8Array[] = [];
  for (const { rows, columns } of parts) read.push(await stored.read(rows, columns));
  const all = new Uint8Array(read.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const bytes of read) {
    all.set(bytes, to);
    to += bytes.length;
  }
  return all;
}

/** The numbers of the blocks that columns fill; null where one is filled in part. */
function wholeBlocks(columns: Uint32Array, size: number): Uint32Array | null {
  if (columns.length % size !== 0) return null;
  const blocks = new Uint32Array(columns.length / size);
  for (let i = 0; i < columns.length; i++) {
    const first = columns[i - i % size];
    if (first % size !== 0 || columns[i] !== first + i % size) return null;
    blocks[Math.floor(i / size)] = first / size;
  }
  return blocks;
}

/** Values that are decoded and compared at a time. */
const CHUNK_VALUES = 1024 * 1024;

/**
 * Whether bytes of a file hold the values of a weight. A part of them is in memory at a time, once
 * as float32.
 * @param headRows of a head whose two halves are interleaved in the file; 0 where they are not.
 */
async function areTheirs(
  bytes: Uint8Array,
  type: GgufTensorType,
  weight: Weight,
  { model: { store }, headRows }: { readonly model: Model; readonly headRows: number },
): Promise<boolean> {
  const { tensor } = weight;
  const columns = tensor.shape.at(-1)!;
  const rows = rowsOf(weight);
  const rowBytes = columns / type.blockSize * type.blockBytes;
  // Rows of a head are in another order.
  const together = Math.max(1, headRows);
  const step = Math.max(1, Math.floor(CHUNK_VALUES / columns / together)) * together;
  // What was written beside a weight of another dtype may be F32.
  const dtype = tensor.dtype as FloatDType;
  const valueBytes = columns * DTYPE_BYTES[dtype];
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const found = decoded(bytes.subarray(row * rowBytes, (row + count) * rowBytes), type);
    const own = await store.readBytes(tensor.name, row * valueBytes, count * valueBytes);
    const inFile = headRows > 0 ? interleavedRows(own, valueBytes, headRows) : own;
    if (!toFloat32(dtype, inFile).every((value, i) => value === found[i])) return false;
  }
  return true;
}

/** The values of blocks as weights have them. */
function decoded(
  bytes: Uint8Array,
  { blockSize, blockBytes, dequantize, dtype }: GgufTensorType,
): Float32Array {
  if (!dequantize) return toFloat32(dtype, bytes);
  const values = new Float32Array(bytes.length / blockBytes * blockSize);
  dequantize(bytes, values);
  return toFloat32(dtype, fromFloat32(dtype, values));
}
