import { ExportError, type FloatDType } from "@lopper/core";
import { fromFloat32, type TensorEntry, type TensorInfo, type TensorStore } from "@lopper/model-io";

/** From here on float16 rounds to infinity: halfway between its largest number and the next power of two. */
const FLOAT16_OVERFLOW = 65_520;

/**
 * A tensor of a checkpoint in a dtype; its bytes stay as they are where it has that dtype already. While `data` runs, the
 * tensor is in memory as it lies in the file, in float32, and in the new dtype.
 *
 * `data` throws `ExportError` when float16 cannot hold a value, and `CheckpointFormatError` when one is not finite.
 */
export function convertedTensor(
  store: TensorStore,
  tensor: TensorInfo,
  dtype: FloatDType,
): TensorEntry {
  const { name, shape } = tensor;
  const data = async () => {
    if (tensor.dtype === dtype) return await store.readBytes(name);
    const values = await store.readFloat32(name);
    if (dtype === "F32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (dtype === "F16") checkFloat16(tensor, values);
    return fromFloat32(dtype, values);
  };
  return { name, dtype, shape, data };
}

function checkFloat16({ name, file }: TensorInfo, values: Float32Array) {
  const found = values.findIndex((value) => Math.abs(value) >= FLOAT16_OVERFLOW);
  if (found < 0) return;
  throw new ExportError(
    `${file}, tensor ${JSON.stringify(name)}: value ${found} is ${
      values[found]
    }, and float16 ends at 65504; export it with --dtype fp32`,
  );
}
