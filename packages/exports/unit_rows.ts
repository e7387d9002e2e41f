import { DTYPE_BYTES } from "@lopper/core";
import {
  fromFloat32,
  type HalfDType,
  type TensorInfo,
  type TensorStore,
  valuesOf,
} from "@lopper/formats";

/** Rows are divided by no less (torch, `normalize`). */
const MIN_LENGTH = 1e-12;

/**
 * A store that gives a matrix with rows of length 1, under whatever name it is asked for: formats
 * that cannot say that a head is used so have it stored so. It is in memory as a whole.
 */
export function unitRowsStore(store: TensorStore, matrix: TensorInfo): TensorStore {
  const readFloat32 = async () => {
    const values = (await store.readFloat32(matrix.name)).slice();
    const columns = matrix.shape[1];
    for (let start = 0; start < values.length; start += columns) {
      const row = values.subarray(start, start + columns);
      const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
      for (let i = 0; i < columns; i++) row[i] /= Math.max(length, MIN_LENGTH);
    }
    return values;
  };
  const bytes = async () => fromFloat32(matrix.dtype as HalfDType | "F32", await readFloat32());
  return {
    tensors: store.tensors,
    readFloat32,
    readHalves: async () => valuesOf(await bytes(), DTYPE_BYTES[matrix.dtype]) as Uint16Array,
    readBytes: async (_, from = 0, length = matrix.byteLength - from) =>
      (await bytes()).subarray(from, from + length),
    close: () => store.close(),
  };
}
