import { DTYPE_BYTES, ExportError, isFloatDType } from "@lopper/core";
import { type GridName, type TensorInfo, toFloat32 } from "@lopper/formats";
import type { Model } from "@lopper/models";
import { type ExportPrecision, GGUF_QUANTIZATIONS, type GgufPrecision } from "./export.ts";

/**
 * Types that end where float16 does: from this magnitude on, a value becomes infinity in it,
 * halfway between its largest number and the next power of two. Of a block, the scale is rounded to
 * float16: its steps may be more than the value was, by 2⁻¹¹ of that, twice as much where a minimum
 * is rounded, too, and programs may hold them in float16; 8 or 16 steps never are so much more.
 */
export type HalfRangeType = "F16" | GridName;
const END = 65_520;
const ENDS: Readonly<Record<HalfRangeType, number>> = {
  F16: END,
  Q4_0: END,
  Q5_0: END,
  Q8_0: END / (1 + 2 ** -11),
  Q4_1: END / (1 + 2 ** -10),
  Q5_1: END / (1 + 2 ** -10),
  // Scales of parts are whole multiples of that of the block, of which the largest is at least 32.
  Q4_K: END / (1 + 2 ** -5),
  Q5_K: END / (1 + 2 ** -5),
  Q6_K: END / (1 + 2 ** -5),
};
/** The largest number of float16. */
const LARGEST = 65_504;

/** Precisions with matrices of such a type. */
const HALF_RANGED: readonly string[] = ["fp16", ...Object.keys(GGUF_QUANTIZATIONS)];
/** Bytes of a tensor that are looked at together. */
const CHUNK_BYTES = 16 * 1024 * 1024;

/** @throws {ExportError} naming the tensor and the first value that a type does not hold. */
export function checkHalfRange(
  { name, file }: TensorInfo,
  values: Float32Array,
  type: HalfRangeType,
) {
  const end = ENDS[type];
  const found = firstBeyond(values, end);
  if (found >= 0) throw beyond({ name, file }, found, values[found], type);
}

/** Index of the first value of that size, −1 when all are smaller. */
function firstBeyond(values: Float32Array, end: number): number {
  for (let i = 0; i < values.length; i++) if (values[i] >= end || values[i] <= -end) return i;
  return -1;
}

function beyond(
  { name, file }: Pick<TensorInfo, "name" | "file">,
  index: number,
  value: number,
  type: HalfRangeType,
) {
  return new ExportError(
    `${file}, tensor ${JSON.stringify(name)}: value ${index} is ${value}, and ${type} ends at ${
      Math.min(LARGEST, Math.floor(ENDS[type]))
    }; ` +
      "export it with --dtype fp32",
  );
}

/**
 * Looks, before anything is written, whether the matrices of a model fit into a precision; a part
 * of one is in memory at a time.
 * @throws {ExportError} as `checkHalfRange`.
 */
export async function checkPrecision(
  { weights, store }: Pick<Model, "weights" | "store">,
  precision: ExportPrecision | GgufPrecision,
): Promise<void> {
  if (!HALF_RANGED.includes(precision)) return;
  for (const { tensor } of weights) {
    const { name, dtype, shape, byteLength } = tensor;
    // What is in float16 already ends there.
    if (shape.length < 2 || dtype === "F16" || !isFloatDType(dtype)) continue;
    for (let offset = 0; offset < byteLength; offset += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, byteLength - offset);
      const values = toFloat32(dtype, await store.readBytes(name, offset, length));
      const found = firstBeyond(values, ENDS.F16);
      if (found < 0) continue;
      // One that is not finite is named as such where it is read as a weight.
      if (!Number.isFinite(values[found])) await store.readFloat32(name);
      throw beyond(tensor, offset / DTYPE_BYTES[dtype] + found, values[found], "F16");
    }
  }
}
