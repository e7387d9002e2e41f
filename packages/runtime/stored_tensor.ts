import { DTYPE_BYTES } from "@lopper/core";
import {
  expandInto,
  finiteFloat32,
  finiteHalves,
  fromFloat32,
  type HalfDType,
  isHalf,
  type TensorInfo,
} from "@lopper/formats";
import type { Model } from "@lopper/models";
import type { BlockRoom } from "./block_room.ts";

/**
 * A tensor as it stays in memory: in float32, or as the bit patterns of a half-precision dtype.
 * Row-major.
 */
export type StoredTensor =
  | { readonly dtype: "F32"; readonly data: Float32Array }
  | { readonly dtype: HalfDType; readonly data: Uint16Array };

export type StoredDType = StoredTensor["dtype"];

/** The bytes of a tensor as it stays in memory, as a view. */
export function storedBytes({ data }: StoredTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A tensor of such bytes, as a view. */
export function storedOf(
  dtype: StoredDType,
  { buffer, byteOffset, byteLength }: Uint8Array,
): StoredTensor {
  return dtype === "F32"
    ? { dtype, data: new Float32Array(buffer, byteOffset, byteLength / DTYPE_BYTES.F32) }
    : { dtype, data: new Uint16Array(buffer, byteOffset, byteLength / DTYPE_BYTES[dtype]) };
}

/**
 * Bytes of a tensor in float32 and, where it may stay in half precision, as it is. Matrices may;
 * norms and biases are always made float32, too few for their bytes to count.
 */
export function tensorBytes(
  { dtype, shape }: TensorInfo,
): { float32: number; half: number | null } {
  const count = shape.reduce((product, d) => product * d, 1);
  return {
    float32: count * DTYPE_BYTES.F32,
    half: isHalf(dtype) && shape.length > 1 ? count * DTYPE_BYTES[dtype] : null,
  };
}

/**
 * Reads a tensor in float32, or in half precision where it has that and `float32` does not ask for
 * more.
 * @param room where its halves may be already.
 * @throws {CheckpointFormatError} when a value is NaN or infinite.
 */
export async function readStored(
  { store }: Model,
  tensor: TensorInfo,
  { float32 }: { float32: boolean },
  room?: BlockRoom,
): Promise<StoredTensor> {
  const { name, dtype } = tensor;
  return float32 || !staysHalf(tensor) || !isHalf(dtype)
    ? { dtype: "F32", data: await store.readFloat32(name) }
    : { dtype, data: await (room?.halvesOf(name) ?? store.readHalves(name)) };
}

/** Whether a tensor may stay in half precision: it has that, and is a matrix. */
export function staysHalf(tensor: TensorInfo): boolean {
  return tensorBytes(tensor).half !== null;
}

/**
 * Values of a part of a tensor as the file has them.
 * @param first place of the first of them in the tensor.
 * @throws {CheckpointFormatError} when a value is NaN or infinite.
 */
export function storedPart(tensor: TensorInfo, bytes: Uint8Array, first: number): StoredTensor {
  const { dtype, offset } = tensor;
  const offsetOf = (index: number) => offset + (first + index) * DTYPE_BYTES[dtype];
  return isHalf(dtype)
    ? { dtype, data: finiteHalves(tensor, bytes, offsetOf) }
    : { dtype: "F32", data: finiteFloat32(tensor, bytes, offsetOf) };
}

/** Writes values of a tensor from `start` on into `out` in float32, as many as it takes. */
export function copyValues({ dtype, data }: StoredTensor, start: number, out: Float32Array) {
  const end = start + out.length;
  if (dtype === "F32") out.set(data.subarray(start, end));
  else expandInto(dtype, data.subarray(start, end), out);
}

/** Replaces the first values of a tensor, rounded to what its dtype holds. */
export function replaceFirst({ dtype, data }: StoredTensor, values: Float32Array) {
  if (dtype === "F32") data.set(values);
  else data.set(new Uint16Array(fromFloat32(dtype, values).buffer));
}

/**
 * The rows of `indices` of a `[rows, columns]` matrix, in that order.
 * @param halves room for them, where they are halves.
 */
export function gatherRows(
  { dtype, data }: StoredTensor,
  columns: number,
  indices: Uint32Array,
  halves?: (length: number) => Uint16Array,
): StoredTensor {
  const length = indices.length * columns;
  return dtype === "F32"
    ? { dtype, data: copyRows(data, new Float32Array(length), columns, indices) }
    : {
      dtype,
      data: copyRows(data, halves?.(length) ?? new Uint16Array(length), columns, indices),
    };
}

/**
 * The columns of `indices` of a `[rows, columns]` matrix as rows: `[indices.length, rows]`.
 * @param halves room for them, where they are halves.
 */
export function gatherColumnsAsRows(
  { dtype, data }: StoredTensor,
  columns: number,
  indices: Uint32Array,
  halves?: (length: number) => Uint16Array,
): StoredTensor {
  const length = indices.length * (data.length / columns);
  return dtype === "F32"
    ? { dtype, data: copyColumns(data, new Float32Array(length), columns, indices) }
    : {
      dtype,
      data: copyColumns(data, halves?.(length) ?? new Uint16Array(length), columns, indices),
    };
}

function copyRows<T extends Float32Array | Uint16Array>(
  from: T,
  to: T,
  columns: number,
  indices: Uint32Array,
): T {
  indices.forEach((row, i) =>
    to.set(from.subarray(row * columns, (row + 1) * columns), i * columns)
  );
  return to;
}

/**
 * Rows that are transposed together: their share of a column is read from the cache, and written in
 * one piece.
 */
const TILE_ROWS = 64;

function copyColumns<T extends Float32Array | Uint16Array>(
  from: T,
  to: T,
  columns: number,
  indices: Uint32Array,
): T {
  const rows = from.length / columns;
  for (let first = 0; first < rows; first += TILE_ROWS) {
    const end = Math.min(first + TILE_ROWS, rows);
    for (let i = 0; i < indices.length; i++) {
      const column = indices[i];
      for (let row = first; row < end; row++) to[i * rows + row] = from[row * columns + column];
    }
  }
  return to;
}
