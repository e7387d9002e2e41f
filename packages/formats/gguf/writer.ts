import type { ByteSink } from "../byte_sink.ts";
import { type MetadataEntry, SCALAR_BYTES, VALUE_TYPES } from "./metadata.ts";

const MAGIC = "GGUF";
const VERSION = 3;
/** Where tensors begin (the specification's default, which needs no entry). */
const ALIGNMENT_BYTES = 32;

/**
 * Types of tensors that are written here: ggml's number, and how many bytes a block of how many
 * values takes.
 */
export const TENSOR_TYPES = {
  F32: { id: 0, values: 1, bytes: 4 },
  F16: { id: 1, values: 1, bytes: 2 },
  Q4_0: { id: 2, values: 32, bytes: 18 },
  Q4_1: { id: 3, values: 32, bytes: 20 },
  Q5_0: { id: 6, values: 32, bytes: 22 },
  Q5_1: { id: 7, values: 32, bytes: 24 },
  Q8_0: { id: 8, values: 32, bytes: 34 },
  Q4_K: { id: 12, values: 256, bytes: 144 },
  Q5_K: { id: 13, values: 256, bytes: 176 },
  Q6_K: { id: 14, values: 256, bytes: 210 },
  // What follows is copied only.
  BF16: { id: 30, values: 1, bytes: 2 },
  IQ4_NL: { id: 20, values: 32, bytes: 18 },
  Q2_K: { id: 10, values: 256, bytes: 84 },
  Q3_K: { id: 11, values: 256, bytes: 110 },
  MXFP4: { id: 39, values: 32, bytes: 17 },
} as const;
export type TensorTypeName = keyof typeof TENSOR_TYPES;

/** Whether values of a type lie in blocks. */
export function isQuantised(type: TensorTypeName): boolean {
  return TENSOR_TYPES[type].values > 1;
}

/**
 * A tensor to be written; its bytes are asked for when their turn comes. `shape` is row-major, the
 * fastest axis last.
 */
export interface GgufTensorEntry {
  readonly name: string;
  readonly type: TensorTypeName;
  readonly shape: readonly number[];
  data(): Promise<Uint8Array>;
}

/**
 * Writes a GGUF file of version 3 (specification: ggml/docs/gguf.md): metadata, names and places of
 * tensors, then the data of each in order. One tensor is in memory at a time.
 * @throws {TypeError} when a tensor's bytes are not as many as its shape and type promise.
 */
export async function writeGguf(
  sink: ByteSink,
  entries: readonly MetadataEntry[],
  tensors: readonly GgufTensorEntry[],
): Promise<void> {
  const out = new HeaderBytes();
  out.raw(new TextEncoder().encode(MAGIC));
  out.scalar("uint32", VERSION);
  out.scalar("uint64", tensors.length);
  out.scalar("uint64", entries.length);
  for (const entry of entries) out.entry(entry);
  let offset = 0;
  for (const tensor of tensors) {
    out.text(tensor.name);
    out.scalar("uint32", tensor.shape.length);
    // The file names the fastest axis first.
    for (const dimension of tensor.shape.toReversed()) out.scalar("uint64", dimension);
    out.scalar("uint32", TENSOR_TYPES[tensor.type].id);
    out.scalar("uint64", offset);
    offset += aligned(tensorBytes(tensor));
  }
  out.raw(new Uint8Array(aligned(out.length) - out.length));
  await sink.write(out.take());
  for (const tensor of tensors) {
    const bytes = await tensor.data();
    const length = tensorBytes(tensor);
    if (bytes.byteLength !== length) {
      throw new TypeError(
        `tensor ${tensor.name} gave ${bytes.byteLength} bytes instead of ${length}`,
      );
    }
    await sink.write(bytes);
    if (aligned(length) > length) await sink.write(new Uint8Array(aligned(length) - length));
  }
}

/** Bytes of a tensor's data, without what follows to align the next. */
export function tensorBytes({ type, shape }: Pick<GgufTensorEntry, "type" | "shape">): number {
  const { values, bytes } = TENSOR_TYPES[type];
  return shape.reduce((product, d) => product * d, 1) / values * bytes;
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

type Scalar = number | bigint | boolean;

/** Collects a header in a buffer that grows by doubling: vocabularies have half a million texts. */
class HeaderBytes {
  #bytes = new Uint8Array(64 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  raw(bytes: Uint8Array) {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  text(text: string) {
    const bytes = new TextEncoder().encode(text);
    this.scalar("uint64", bytes.length);
    this.raw(bytes);
  }

  entry(entry: MetadataEntry) {
    this.text(entry.key);
    this.scalar("uint32", VALUE_TYPES.indexOf(entry.type));
    if (entry.type === "string") this.text(entry.value);
    else if (entry.type !== "array") this.scalar(entry.type, entry.value);
    else {
      this.scalar("uint32", VALUE_TYPES.indexOf(entry.elementType));
      this.scalar("uint64", entry.values.length);
      for (const value of entry.values) {
        if (entry.elementType === "string") this.text(String(value));
        else this.scalar(entry.elementType, value as Scalar);
      }
    }
  }

  scalar(type: keyof typeof SCALAR_BYTES, value: Scalar) {
    this.#reserve(8);
    const view = new DataView(this.#bytes.buffer, this.#length);
    switch (type) {
      case "uint8":
      case "bool":
        view.setUint8(0, Number(value));
        break;
      case "int8":
        view.setInt8(0, Number(value));
        break;
      case "uint16":
        view.setUint16(0, Number(value), true);
        break;
      case "int16":
        view.setInt16(0, Number(value), true);
        break;
      case "uint32":
        view.setUint32(0, Number(value), true);
        break;
      case "int32":
        view.setInt32(0, Number(value), true);
        break;
      case "float32":
        view.setFloat32(0, Number(value), true);
        break;
      case "float64":
        view.setFloat64(0, Number(value), true);
        break;
      case "uint64":
        view.setBigUint64(0, BigInt(value), true);
        break;
      case "int64":
        view.setBigInt64(0, BigInt(value), true);
        break;
    }
    this.#length += SCALAR_BYTES[type];
  }

  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number) {
    if (this.#length + more <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}
