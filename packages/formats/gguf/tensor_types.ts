import { type FloatDType, UnsupportedModelError } from "@lopper/core";
import {
  dequantizeIQ4NL,
  dequantizeMXFP4,
  dequantizeQ4_0,
  dequantizeQ4_1,
  dequantizeQ5_0,
  dequantizeQ5_1,
  dequantizeQ8_0,
} from "./dequantize.ts";
import {
  dequantizeQ2K,
  dequantizeQ3K,
  dequantizeQ4K,
  dequantizeQ5K,
  dequantizeQ6K,
} from "./dequantize_k.ts";

/** Decodes whole blocks into float32, as many values as `out` takes. */
export type Dequantize = (blocks: Uint8Array, out: Float32Array) => void;

/**
 * How a tensor's values lie in a GGUF file: in blocks of `blockSize` values and `blockBytes` bytes.
 */
export interface GgufTensorType {
  readonly name: string;
  readonly blockSize: number;
  readonly blockBytes: number;
  /**
   * What the tensor is outside the file: its own dtype, or F16 where it is quantised; BF16 where
   * scales go beyond the range of F16.
   */
  readonly dtype: FloatDType;
  /** Absent where values are stored one by one, in `dtype`. */
  readonly dequantize?: Dequantize;
}

const plain = (name: FloatDType, bytes: number): GgufTensorType => ({
  name,
  blockSize: 1,
  blockBytes: bytes,
  dtype: name,
});
const quantised = (
  name: string,
  blockSize: number,
  blockBytes: number,
  dequantize: Dequantize,
): GgufTensorType => ({ name, blockSize, blockBytes, dtype: "F16", dequantize });

/** The types that Lopper reads, by their number in the file (ggml.h, `enum ggml_type`). */
const READABLE: Readonly<Record<number, GgufTensorType>> = {
  0: plain("F32", 4),
  1: plain("F16", 2),
  30: plain("BF16", 2),
  2: quantised("Q4_0", 32, 18, dequantizeQ4_0),
  3: quantised("Q4_1", 32, 20, dequantizeQ4_1),
  6: quantised("Q5_0", 32, 22, dequantizeQ5_0),
  7: quantised("Q5_1", 32, 24, dequantizeQ5_1),
  8: quantised("Q8_0", 32, 34, dequantizeQ8_0),
  20: quantised("IQ4_NL", 32, 18, dequantizeIQ4NL),
  10: quantised("Q2_K", 256, 84, dequantizeQ2K),
  11: quantised("Q3_K", 256, 110, dequantizeQ3K),
  12: quantised("Q4_K", 256, 144, dequantizeQ4K),
  13: quantised("Q5_K", 256, 176, dequantizeQ5K),
  14: quantised("Q6_K", 256, 210, dequantizeQ6K),
  39: { ...quantised("MXFP4", 32, 17, dequantizeMXFP4), dtype: "BF16" },
};

/** Names of the others, for messages. */
const OTHERS: Readonly<Record<number, string>> = {
  ...{ 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S" },
  ...{ 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64" },
  ...{ 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0" },
};

export const READABLE_TYPES: readonly GgufTensorType[] = Object.values(READABLE);

/** @throws {UnsupportedModelError} for a type that Lopper does not read. */
export function tensorType(id: number, file: string, tensor: string): GgufTensorType {
  if (Object.hasOwn(READABLE, id)) return READABLE[id];
  const name = Object.hasOwn(OTHERS, id) ? OTHERS[id] : `number ${id}`;
  throw new UnsupportedModelError(
    `${file}, tensor ${JSON.stringify(tensor)}: its type is ${name}; Lopper reads ${
      READABLE_TYPES.map((type) => type.name).join(" ")
    }`,
  );
}
