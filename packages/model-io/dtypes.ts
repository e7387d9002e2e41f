import { type DType, DTYPE_BYTES, type FloatDType } from "@lopper/core";

/**
 * Decodes little-endian elements to float32. F32 that lies on a 4-byte boundary is returned as a view; F64 and large
 * integers are rounded to the nearest float32.
 */
export function toFloat32(dtype: DType, bytes: Uint8Array): Float32Array {
  const size = DTYPE_BYTES[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  const n = bytes.byteLength / size;
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer, byteOffset, n);
    case "F64":
      return Float32Array.from(new Float64Array(buffer, byteOffset, n));
    case "F16":
      return new Float32Array(new Float16Array(buffer as ArrayBuffer, byteOffset, n));
    case "BF16": {
      // bfloat16 is the upper half of a float32
      const halves = new Uint16Array(buffer, byteOffset, n);
      const words = new Uint32Array(n);
      for (let i = 0; i < n; i++) words[i] = halves[i] << 16;
      return new Float32Array(words.buffer);
    }
    case "I8":
      return Float32Array.from(new Int8Array(buffer, byteOffset, n));
    case "U8":
    case "BOOL":
      return Float32Array.from(new Uint8Array(buffer, byteOffset, n));
    case "I16":
      return Float32Array.from(new Int16Array(buffer, byteOffset, n));
    case "U16":
      return Float32Array.from(new Uint16Array(buffer, byteOffset, n));
    case "I32":
      return Float32Array.from(new Int32Array(buffer, byteOffset, n));
    case "U32":
      return Float32Array.from(new Uint32Array(buffer, byteOffset, n));
    case "I64":
      return Float32Array.from(new BigInt64Array(buffer, byteOffset, n), Number);
    case "U64":
      return Float32Array.from(new BigUint64Array(buffer, byteOffset, n), Number);
  }
}

/** Encodes float32 in a weight dtype, rounded to nearest, ties to even; NaN stays NaN. */
export function fromFloat32(dtype: FloatDType, values: Float32Array): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.slice().buffer);
  if (dtype === "F16") return new Uint8Array(new Float16Array(values).buffer);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    // Rounding up could carry a NaN's payload into infinity: keep its upper half and set a payload bit.
    halves[i] = (word & 0x7fffffff) > 0x7f800000
      ? (word >>> 16) | 0x40
      : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(halves.buffer);
}
