import { ExportError, keptOf, type PrunePlan, unitAxis, unitIndices } from "@lopper/core";
import { fromFloat32, GgufTensorStore, TENSOR_TYPES, type TensorTypeName } from "@lopper/formats";
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
    const from = sourceOf(weight, model, source, places);
    const stored = from && store.stored(from.tensor.name);
    if (!stored || !Object.hasOwn(TENSOR_TYPES, stored.type.name)) continue;
    const block = from.block === null ? null : origin[from.block];
    const axis = block && unitAxis(block.weights.find(({ name }) => name === from.weight)!);
    // An expert is many rows.
    const stacked = weight.tensor.shape.length > 2;
    if (stacked && weight.tensor.shape[0] !== from.tensor.shape[0]) continue;
    const units = from.block === null ? null : kept[from.block];
    const indices = axis && units && !stacked ? unitIndices(axis, units[axis.dimension]) : null;
    const columns = axis?.at === 1 && indices ? wholeBlocks(indices, stored.type.blockSize) : null;
    if (axis?.at === 1 && !columns && !stacked) continue;
    const data = () => stored.read(axis?.at === 0 ? indices : null, columns);
    const values = decoded(await data(), stored.type);
    if (!await sameBytes(values, weight, model, arch)) continue;
    found.set(weight.tensor.name, { type: stored.type.name as TensorTypeName, data });
  }
  return wherePartsAgree(found, model, arch);
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
    return whole && { tensor: whole.tensor, block: null, weight: "" };
  }
  const at = blocks.findIndex(({ layer, kind }) => layer === role.layer && kind === role.part);
  const block = places[at];
  const { layer, kind } = source.architecture.blocks[block];
  const part = source.weights.find((weight) =>
    "layer" in weight.role && weight.role.layer === layer && weight.role.part === kind &&
    weight.role.weight === role.weight
  );
  return part && { tensor: part.tensor, block, weight: role.weight };
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

function decoded(
  bytes: Uint8Array,
  { blockSize, blockBytes, dequantize, dtype }: GgufTensorType,
): Uint8Array {
  if (!dequantize) return bytes;
  const values = new Float32Array(bytes.length / blockBytes * blockSize);
  dequantize(bytes, values);
  return fromFloat32(dtype, values);
}

/** Whether values in the order of the file are still those of a weight. */
async function sameBytes(
  values: Uint8Array,
  { role, tensor }: Weight,
  { store, architecture }: Model,
  arch: GgufArchitecture,
): Promise<boolean> {
  if (tensor.byteLength !== values.length) return false;
  const bytes = await store.readBytes(tensor.name);
  const inFile = areInterleaved(arch, architecture) && isRotated(role)
    ? interleavedRows(bytes, bytes.length / tensor.shape[0], architecture.headDim)
    : bytes;
  return inFile.every((byte, i) => byte === values[i]);
}
