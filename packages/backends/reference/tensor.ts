import { TensorProto_DataType as DataType } from "onnx-buf";
import type { HostTensor } from "../backend.ts";

/** Element types of the graphs that Lopper makes. */
export type ElementType = "float32" | "float16" | "int64" | "int32" | "uint8" | "bool";

/**
 * A dense row-major tensor. Values are float64 whatever the type says: what a graph computes is
 * rounded once, when it is fetched. Whole numbers of up to 2⁵³ are exact, and shapes are no larger.
 */
export interface Tensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: Float64Array;
}

const TYPES: ReadonlyMap<number, ElementType> = new Map([
  [DataType.FLOAT, "float32"],
  [DataType.FLOAT16, "float16"],
  [DataType.INT64, "int64"],
  [DataType.INT32, "int32"],
  [DataType.UINT8, "uint8"],
  [DataType.BOOL, "bool"],
]);

/**
 * The element type by its number in ONNX. @throws {TypeError} for one that no graph of Lopper's
 * has.
 */
export function elementType(dataType: number): ElementType {
  const type = TYPES.get(dataType);
  if (type) return type;
  throw new TypeError(`element type ${DataType[dataType] ?? dataType} is not computed here`);
}

export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** @throws {TypeError} unless there is a value for each place. */
export function tensor(type: ElementType, dims: readonly number[], data: Float64Array): Tensor {
  if (sizeOf(dims) !== data.length) {
    throw new TypeError(`${data.length} values do not fill [${dims.join(", ")}]`);
  }
  return { type, dims, data };
}

/** A vector of whole numbers, e.g. a shape. */
export function int64s(values: readonly number[]): Tensor {
  return tensor("int64", [values.length], Float64Array.from(values));
}

/** What is stored as bytes, little-endian. @throws {TypeError} when there are too few. */
export function fromBytes(type: ElementType, dims: readonly number[], bytes: Uint8Array): Tensor {
  // A copy lies where any element may begin.
  const { buffer } = bytes.slice();
  const views: Record<ElementType, () => ArrayLike<number> | BigInt64Array> = {
    float32: () => new Float32Array(buffer),
    float16: () => new Float16Array(buffer),
    int64: () => new BigInt64Array(buffer),
    int32: () => new Int32Array(buffer),
    uint8: () => new Uint8Array(buffer),
    bool: () => new Uint8Array(buffer),
  };
  return tensor(type, dims, Float64Array.from(views[type]() as ArrayLike<number>, Number));
}

export function fromHost({ dtype, dims, data }: HostTensor): Tensor {
  return tensor(dtype, dims, Float64Array.from(data as ArrayLike<number>, Number));
}

/** @throws {TypeError} for a type that does not leave a graph. */
export function toHost({ type, dims, data }: Tensor): HostTensor {
  switch (type) {
    case "float32":
      return { dtype: type, dims, data: Float32Array.from(data) };
    case "int64":
      return { dtype: type, dims, data: BigInt64Array.from(data, BigInt) };
    case "int32":
      return { dtype: type, dims, data: Int32Array.from(data) };
    case "bool":
      return { dtype: type, dims, data: Uint8Array.from(data) };
    default:
      throw new TypeError(`a fetch of type ${type} has no form in host memory`);
  }
}

/** Steps between neighbours along each axis. */
export function strides(dims: readonly number[]): readonly number[] {
  const steps: number[] = new Array(dims.length).fill(1);
  for (let axis = dims.length - 2; axis >= 0; axis--) {
    steps[axis] = steps[axis + 1] * dims[axis + 1];
  }
  return steps;
}

/** An axis counted from the front. @throws {TypeError} when there is none of that number. */
export function axisOf(axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  if (found >= 0 && found < rank) return found;
  throw new TypeError(`axis ${axis} of ${rank}`);
}

/** Rows, length and step of the runs along an axis: values `outer · length · inner`. */
export function along(dims: readonly number[], axis: number) {
  return {
    outer: sizeOf(dims.slice(0, axis)),
    length: dims[axis],
    inner: sizeOf(dims.slice(axis + 1)),
  };
}

/**
 * The shape that all broadcast to (ONNX, "Multidirectional Broadcasting"). @throws {TypeError}
 * where there is none.
 */
export function broadcastDims(shapes: readonly (readonly number[])[]): readonly number[] {
  const rank = Math.max(...shapes.map((dims) => dims.length));
  return Array.from({ length: rank }, (_, i) => {
    const sizes = shapes.map((dims) => dims[dims.length - rank + i] ?? 1);
    const size = sizes.find((n) => n !== 1) ?? 1;
    if (sizes.every((n) => n === 1 || n === size)) return size;
    throw new TypeError(
      `[${shapes.map((dims) => dims.join(", ")).join("] and [")}] do not go together`,
    );
  });
}

/** For every place of `dims`, where in a tensor that broadcasts to them its value lies. */
export function* broadcastPlaces(
  from: readonly number[],
  dims: readonly number[],
): Generator<number> {
  const own = strides(from);
  const steps = dims.map((_, axis) => {
    const at = axis - (dims.length - from.length);
    return at < 0 || from[at] === 1 ? 0 : own[at];
  });
  const index = new Array(dims.length).fill(0);
  let place = 0;
  for (let n = sizeOf(dims); n > 0; n--) {
    yield place;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      place += steps[axis];
      if (++index[axis] < dims[axis]) break;
      place -= steps[axis] * dims[axis];
      index[axis] = 0;
    }
  }
}
