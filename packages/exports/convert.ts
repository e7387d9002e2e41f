import type { FloatDType } from "@lopper/core";
import {
  fromFloat32,
  isHalf,
  type TensorEntry,
  type TensorInfo,
  type TensorStore,
} from "@lopper/formats";
import { checkHalfRange } from "./half_range.ts";

/**
 * A tensor of a checkpoint in a dtype; its bytes stay as they are where it has that dtype already.
 * While `data` runs, the tensor is in memory as it lies in the file, in float32, and in the new
 * dtype.
 *
 * `data` throws `ExportError` when float16 cannot hold a value, and `CheckpointFormatError` when
 * one is not finite.
 */
export function convertedTensor(
  store: TensorStore,
  tensor: TensorInfo,
  dtype: FloatDType,
): TensorEntry {
  const { name, shape } = tensor;
  const data = async () => {
    if (tensor.dtype === dtype && isHalf(dtype)) return bytesOf(await store.readHalves(name));
    const values = await store.readFloat32(name);
    if (dtype === "F32") return bytesOf(values);
    if (dtype === "F16") checkHalfRange(tensor, values, dtype);
    return fromFloat32(dtype, values);
  };
  return { name, dtype, shape, data };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
