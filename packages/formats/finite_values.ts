import { CheckpointFormatError, DTYPE_BYTES } from "@lopper/core";
import { firstNonFinite, isHalf, toFloat32 } from "./dtypes.ts";
import type { TensorInfo } from "./tensors.ts";

/** Where a value of a tensor lies, in bytes from the start of the file. */
export type OffsetOf = (index: number) => number;

/**
 * The values of a tensor in float32.
 * @throws {CheckpointFormatError} when one is NaN or infinite; the offset is that of the first such
 *   value.
 */
export function finiteFloat32(
  tensor: TensorInfo,
  bytes: Uint8Array,
  offsetOf: OffsetOf = offsetIn(tensor),
): Float32Array {
  const values = toFloat32(tensor.dtype, bytes);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const found = firstNonFinite("F32", bits);
  if (found >= 0) throw notFinite(tensor, found, values[found], offsetOf);
  return values;
}

/**
 * The bit patterns of an F16 or BF16 tensor.
 * @throws {CheckpointFormatError} as `finiteFloat32` does.
 */
export function finiteHalves(
  tensor: TensorInfo,
  bytes: Uint8Array,
  offsetOf: OffsetOf = offsetIn(tensor),
): Uint16Array {
  const { dtype, name } = tensor;
  if (!isHalf(dtype)) throw new TypeError(`tensor ${name} is ${dtype}, not F16 or BF16`);
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, bytes.byteLength / 2);
  const found = firstNonFinite(dtype, halves);
  if (found >= 0) {
    const [value] = toFloat32(dtype, aligned.subarray(2 * found, 2 * found + 2));
    throw notFinite(tensor, found, value, offsetOf);
  }
  return halves;
}

function offsetIn({ dtype, offset }: TensorInfo): OffsetOf {
  return (index) => offset + index * DTYPE_BYTES[dtype];
}

function notFinite({ name, file }: TensorInfo, index: number, value: number, offsetOf: OffsetOf) {
  return new CheckpointFormatError(
    `value ${index} is ${value}; weights need to be finite numbers`,
    { file, tensor: name, offset: offsetOf(index) },
  );
}
