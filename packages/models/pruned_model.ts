import {
  type Block,
  type DeclaredWeight,
  DTYPE_BYTES,
  hasOutputProjection,
  isExpertOutput,
  isFloatDType,
  type KeptByBlock,
  keptByOwner,
  keptOf,
  type KeptUnits,
  ownedAxis,
  placesAlong,
  prunedArchitecture,
  type PrunePlan,
  unitAxis,
} from "@lopper/core";
import {
  fromFloat32,
  type OpenSink,
  scaledBy,
  type TensorEntry,
  type TensorInfo,
  toFloat32,
} from "@lopper/formats";
import type { Model, Weight } from "./model.ts";
import { writeCheckpoint, type WrittenCheckpoint } from "./write_checkpoint.ts";

/** New values for blocks, by their numbers. */
export interface Refit {
  /** Whether a block has some; else it stays as it is in the checkpoint. */
  has(block: number): boolean;
  /**
   * The columns that a block's output projection keeps, transposed: `[kept, out]`, ascending; of a
   * mixture, what the outputs of the experts that it keeps are multiplied with. Good until the next
   * call.
   */
  valuesOf(block: number): Promise<Float32Array>;
}

export interface WrittenModel extends WrittenCheckpoint {
  /** Bytes of weights, headers not counted. */
  readonly weightBytes: number;
}

/**
 * Writes the part of `model` that `plan` keeps as a checkpoint in Hugging Face layout, each weight
 * in the dtype of the source and bit-identical where it stays.
 * @param open gives the sink of a file; what was written appears under its name on commit only.
 * @throws {PlanError} when the plan does not fit the model.
 */
export async function writePrunedModel(
  model: Model,
  plan: PrunePlan,
  open: OpenSink,
  options: { maxShardBytes?: number; refit?: Refit } = {},
): Promise<WrittenModel> {
  const architecture = prunedArchitecture(model.architecture, plan);
  const entries = prunedTensors(model, plan, options.refit);
  const checkpoint = { ...model, architecture, entries };
  const written = await writeCheckpoint(checkpoint, open, options.maxShardBytes);
  const weightBytes = entries.reduce((sum, entry) => sum + byteLength(entry), 0);
  return { ...written, weightBytes };
}

/**
 * The tensors that remain, lazily, under the names that they have in the model. @throws {PlanError}
 * when the plan does not fit the model.
 */
export function prunedTensors(
  model: Model,
  plan: PrunePlan,
  refit?: Refit,
): readonly TensorEntry[] {
  const kept = keptOf(model.architecture, plan);
  return model.weights.flatMap((weight) => prunedTensor(model, kept, weight, refit) ?? []);
}

function prunedTensor(
  model: Model,
  kept: KeptByBlock,
  { role, tensor }: Weight,
  refit?: Refit,
): TensorEntry | undefined {
  const whole: TensorEntry = {
    name: tensor.name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    data: () => model.store.readBytes(tensor.name),
  };
  if (!("layer" in role)) return whole;
  const { blocks } = model.architecture;
  const block = blocks.findIndex(({ layer, kind }) => layer === role.layer && kind === role.part);
  const units = kept[block];
  if (!units) return isReadNext(model, kept, block, role.weight) ? whole : undefined;
  const declared = blocks[block];
  const weight = declared.weights.find(({ name }) => name === role.weight)!;
  const axis = unitAxis(weight);
  if (!axis) return whole;

  const indices = placesAlong(declared, axis, units[axis.dimension]);
  const refitted = refit?.has(block) ? refit : null;
  if (refitted && axis.at === 1 && hasOutputProjection(declared)) {
    const [rows] = tensor.shape;
    return {
      ...whole,
      shape: [rows, indices.length],
      data: async () => encodeTransposed(tensor, await refitted.valuesOf(block), rows),
    };
  }
  const isScaled = refitted !== null && isExpertOutput(weight);
  const scales = isScaled ? () => refitted.valuesOf(block) : null;
  const owned = ownedPart(declared, weight, units);
  if (owned) return ownedTensor(model, whole, tensor, { ...owned, experts: indices, scales });
  if (!isScaled && indices.length === tensor.shape[axis.at]) return whole;
  const elementBytes = DTYPE_BYTES[tensor.dtype];
  const [rows, columns = 1] = tensor.shape;
  if (axis.at === 0) {
    const rowBytes = tensor.byteLength / rows;
    return {
      ...whole,
      shape: [indices.length, ...tensor.shape.slice(1)],
      data: async () => {
        const kept = await readRows(model, tensor, indices, rowBytes);
        return isScaled ? scaledRows(tensor, kept, await refitted.valuesOf(block)) : kept;
      },
    };
  }
  return {
    ...whole,
    shape: [rows, indices.length],
    data: async () =>
      gatherColumns(await model.store.readBytes(tensor.name), rows, columns, indices, elementBytes),
  };
}

/** What each expert keeps of a stacked weight, where that is not all. */
interface OwnedPart {
  /** The axis of its own channels in one expert's part. */
  readonly along: number;
  /** The places that stay there, by the number of the expert. */
  readonly places: readonly (readonly number[])[];
}

function ownedPart(
  block: Block,
  weight: DeclaredWeight,
  kept: KeptUnits,
): OwnedPart | undefined {
  const axis = ownedAxis(weight);
  const places = axis && keptByOwner(block, kept);
  return places && { along: axis.at - 1, places };
}

/** A stacked weight of which experts stay, each with channels of its own. */
function ownedTensor(
  model: Model,
  whole: TensorEntry,
  tensor: TensorInfo,
  { along, places, experts, scales }: OwnedPart & {
    readonly experts: Uint32Array;
    readonly scales: (() => Promise<Float32Array>) | null;
  },
): TensorEntry {
  const dims = tensor.shape.slice(1);
  const shape = [experts.length, ...dims.with(along, places[0].length)];
  const elementBytes = DTYPE_BYTES[tensor.dtype];
  const run = dims.slice(along + 1).reduce((product, d) => product * d, elementBytes);
  const outer = dims.slice(0, along).reduce((product, d) => product * d, 1);
  const length = outer * dims[along] * run;
  const data = async () => {
    const out = new Uint8Array(shape.reduce((product, d) => product * d, elementBytes));
    let to = 0;
    for (const expert of experts) {
      const bytes = await model.store.readBytes(tensor.name, expert * length, length);
      const kept = gatherColumns(bytes, outer, dims[along], places[expert], run);
      out.set(kept, to);
      to += kept.length;
    }
    return scales ? scaledRows(tensor, out, await scales()) : out;
  };
  return { ...whole, shape, data };
}

/** Whether the block behind this one stays and shares this weight of it. */
function isReadNext(
  { architecture: { blocks } }: Model,
  kept: KeptByBlock,
  block: number,
  name: string,
) {
  const next = blocks[block + 1];
  return next?.layer === blocks[block].layer && kept[block + 1] !== null &&
    next.weights.some((weight) => weight.name === name && weight.shared);
}

/** `[kept, out]` as `[out, kept]` in the tensor's dtype. */
function encodeTransposed({ name, dtype }: TensorInfo, columns: Float32Array, rows: number) {
  if (!isFloatDType(dtype)) throw new TypeError(`${name} is ${dtype}, which holds no new weights`);
  const kept = columns.length / rows;
  const out = new Float32Array(columns.length);
  for (let c = 0; c < kept; c++) {
    for (let row = 0; row < rows; row++) out[row * kept + c] = columns[c * rows + row];
  }
  return fromFloat32(dtype, out);
}

/** Rows of a tensor, those that are neighbours there read together. */
async function readRows(
  { store }: Model,
  { name }: TensorInfo,
  kept: Uint32Array,
  rowBytes: number,
): Promise<Uint8Array> {
  const out = new Uint8Array(kept.length * rowBytes);
  for (let i = 0; i < kept.length;) {
    let end = i + 1;
    while (end < kept.length && kept[end] === kept[end - 1] + 1) end++;
    const bytes = await store.readBytes(name, kept[i] * rowBytes, (end - i) * rowBytes);
    out.set(bytes, i * rowBytes);
    i = end;
  }
  return out;
}

/** Experts, one after the other, each times its factor. */
function scaledRows({ dtype }: TensorInfo, bytes: Uint8Array, scales: Float32Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const length = bytes.length / scales.length;
  scales.forEach((scale, i) => {
    const values = toFloat32(dtype, bytes.subarray(i * length, (i + 1) * length));
    out.set(scaledBy(dtype, values, scale), i * length);
  });
  return out;
}

function gatherColumns(
  bytes: Uint8Array,
  rows: number,
  columns: number,
  kept: Uint32Array | readonly number[],
  elementBytes: number,
): Uint8Array {
  const out = new Uint8Array(rows * kept.length * elementBytes);
  let to = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * columns * elementBytes;
    for (const column of kept) {
      const from = start + column * elementBytes;
      for (let b = 0; b < elementBytes; b++) out[to++] = bytes[from + b];
    }
  }
  return out;
}

function byteLength({ dtype, shape }: TensorEntry): number {
  return shape.reduce((product, d) => product * d, DTYPE_BYTES[dtype]);
}
