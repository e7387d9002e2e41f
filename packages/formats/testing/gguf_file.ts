/** Helpers of the tests of GGUF: files built by hand, so that they can be wrong. */
import { VALUE_TYPES, type ValueType } from "../gguf/metadata.ts";

export type Entry =
  | readonly [key: string, type: Exclude<ValueType, "array">, value: unknown]
  | readonly [
    key: string,
    type: "array",
    elementType: Exclude<ValueType, "array">,
    values: readonly unknown[],
  ];

export interface FileTensor {
  readonly name: string;
  /** As in the file: the fastest axis first. */
  readonly dims: readonly (number | bigint)[];
  /** ggml's number of the type. */
  readonly type: number;
  readonly data: Uint8Array;
  /** From the start of the data; behind the tensor before unless told otherwise. */
  readonly offset?: number | bigint;
}

export interface FileParts {
  readonly magic?: string;
  readonly version?: number;
  readonly entries?: readonly Entry[];
  readonly tensors?: readonly FileTensor[];
  readonly alignment?: number;
  readonly tensorCount?: bigint;
  readonly entryCount?: bigint;
}

/** A GGUF file of these parts. */
export function ggufFile(parts: FileParts): Uint8Array {
  const { entries = [], tensors = [], alignment = 32 } = parts;
  const out = new Writer();
  out.bytes(new TextEncoder().encode(parts.magic ?? "GGUF"));
  out.scalar("uint32", parts.version ?? 3);
  out.scalar("uint64", parts.tensorCount ?? BigInt(tensors.length));
  out.scalar("uint64", parts.entryCount ?? BigInt(entries.length));
  for (const [key, type, ...rest] of entries) {
    out.scalar("string", key);
    out.scalar("uint32", VALUE_TYPES.indexOf(type));
    if (type === "array") {
      const [elementType, values] = rest as [Exclude<ValueType, "array">, readonly unknown[]];
      out.scalar("uint32", VALUE_TYPES.indexOf(elementType));
      out.scalar("uint64", BigInt(values.length));
      for (const value of values) out.scalar(elementType, value);
    } else out.scalar(type, rest[0]);
  }
  const padded = (n: number) => Math.ceil(n / alignment) * alignment;
  let next = 0;
  const data = new Writer();
  for (const { name, dims, type, data: bytes, offset } of tensors) {
    out.scalar("string", name);
    out.scalar("uint32", dims.length);
    for (const dim of dims) out.scalar("uint64", BigInt(dim));
    out.scalar("uint32", type);
    out.scalar("uint64", BigInt(offset ?? next));
    data.bytes(bytes);
    data.bytes(new Uint8Array(padded(bytes.length) - bytes.length));
    next += padded(bytes.length);
  }
  out.bytes(new Uint8Array(padded(out.length) - out.length));
  out.bytes(data.take());
  return out.take();
}

class Writer {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  bytes(bytes: Uint8Array) {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }

  scalar(type: Exclude<ValueType, "array">, value: unknown) {
    if (type === "string") {
      const text = value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));
      this.scalar("uint64", BigInt(text.length));
      return this.bytes(text);
    }
    const view = new DataView(new ArrayBuffer(8));
    const set: Record<typeof type, () => number> = {
      uint8: () => (view.setUint8(0, Number(value)), 1),
      int8: () => (view.setInt8(0, Number(value)), 1),
      bool: () => (view.setUint8(0, Number(value)), 1),
      uint16: () => (view.setUint16(0, Number(value), true), 2),
      int16: () => (view.setInt16(0, Number(value), true), 2),
      uint32: () => (view.setUint32(0, Number(value), true), 4),
      int32: () => (view.setInt32(0, Number(value), true), 4),
      float32: () => (view.setFloat32(0, Number(value), true), 4),
      float64: () => (view.setFloat64(0, Number(value), true), 8),
      uint64: () => (view.setBigUint64(0, BigInt(value as bigint), true), 8),
      int64: () => (view.setBigInt64(0, BigInt(value as bigint), true), 8),
    };
    this.bytes(new Uint8Array(view.buffer, 0, set[type]()));
  }

  take(): Uint8Array {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
