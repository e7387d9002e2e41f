import { CheckpointFormatError } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { decodeText } from "../header_cursor.ts";

/**
 * Twice as many as any tokenizer has (Gemma 3: 262,144 tokens, 514,906 merges); all of them are
 * held as strings.
 */
const MAX_STRINGS = 2 ** 20;
/** A tokenizer's tokens take a few MB, the longest chat template 100 kB. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

/**
 * Types of metadata values, by their number in the file (specification of GGUF,
 * `gguf_metadata_value_type`).
 */
export const VALUE_TYPES = [
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "float32",
  "bool",
  "string",
  "array",
  "uint64",
  "int64",
  "float64",
] as const;
export type ValueType = typeof VALUE_TYPES[number];
export type ScalarType = Exclude<ValueType, "string" | "array">;

/** Bytes of a scalar, and how it is read; integers that a double cannot hold stay bigint. */
export const SCALARS: Readonly<
  Record<ScalarType, [number, (view: DataView, at: number) => number | bigint | boolean]>
> = {
  uint8: [1, (view, at) => view.getUint8(at)],
  int8: [1, (view, at) => view.getInt8(at)],
  uint16: [2, (view, at) => view.getUint16(at, true)],
  int16: [2, (view, at) => view.getInt16(at, true)],
  uint32: [4, (view, at) => view.getUint32(at, true)],
  int32: [4, (view, at) => view.getInt32(at, true)],
  float32: [4, (view, at) => view.getFloat32(at, true)],
  bool: [1, (view, at) => view.getUint8(at) !== 0],
  uint64: [8, (view, at) => safe(view.getBigUint64(at, true))],
  int64: [8, (view, at) => safe(view.getBigInt64(at, true))],
  float64: [8, (view, at) => view.getFloat64(at, true)],
};

/** Bytes of each scalar. */
export const SCALAR_BYTES = Object.fromEntries(
  Object.entries(SCALARS).map(([type, [bytes]]) => [type, bytes]),
) as Readonly<Record<ScalarType, number>>;

function safe(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/**
 * A metadata value. Texts and lists are read when they are asked for: `offset` and `byteLength` say
 * where they lie.
 */
export type MetadataValue =
  | { readonly type: ScalarType; readonly value: number | bigint | boolean }
  | { readonly type: "string"; readonly offset: number; readonly byteLength: number }
  | {
    readonly type: "array";
    readonly elementType: ScalarType | "string";
    readonly count: number;
    readonly offset: number;
    readonly byteLength: number;
  };

/** A metadata value with its key, read. */
export type MetadataEntry =
  | {
    readonly key: string;
    readonly type: ScalarType;
    readonly value: number | bigint | boolean;
  }
  | { readonly key: string; readonly type: "string"; readonly value: string }
  | {
    readonly key: string;
    readonly type: "array";
    readonly elementType: ScalarType | "string";
    readonly values: readonly (number | bigint | boolean | string)[];
  };

/**
 * The metadata of a GGUF file, by key. Readers give undefined for an absent key and refuse a value
 * of another type.
 */
export class GgufMetadata {
  readonly #source: ByteSource;
  readonly #values: ReadonlyMap<string, MetadataValue>;

  constructor(source: ByteSource, values: ReadonlyMap<string, MetadataValue>) {
    this.#source = source;
    this.#values = values;
  }

  get file(): string {
    return this.#source.name;
  }

  keys(): readonly string[] {
    return [...this.#values.keys()];
  }

  get(key: string): MetadataValue | undefined {
    return this.#values.get(key);
  }

  /** @throws {CheckpointFormatError} when it is no number. */
  number(key: string): number | undefined {
    const value = this.#values.get(key);
    if (!value) return undefined;
    if ("value" in value && typeof value.value === "number") return value.value;
    throw this.#unfit(key, value, "a number");
  }

  /** @throws {CheckpointFormatError} when it is no whole number from 0 to 2³¹ − 1. */
  count(key: string): number | undefined {
    const number = this.number(key);
    if (number === undefined || (Number.isInteger(number) && number >= 0 && number < 2 ** 31)) {
      return number;
    }
    throw this.refuse(key, `it is ${number} and needs to be a whole number from 0 to 2147483647`);
  }

  /** @throws {CheckpointFormatError} when it is neither true nor false. */
  flag(key: string): boolean | undefined {
    const value = this.#values.get(key);
    if (!value) return undefined;
    if ("value" in value && typeof value.value === "boolean") return value.value;
    throw this.#unfit(key, value, "true or false");
  }

  /** @throws {CheckpointFormatError} when it is no text, or not UTF-8. */
  async text(key: string): Promise<string | undefined> {
    const value = this.#values.get(key);
    if (!value) return undefined;
    if (value.type !== "string") throw this.#unfit(key, value, "a text");
    return decodeText(await this.#read(key, value), this.file, value);
  }

  /** @throws {CheckpointFormatError} when it is no list of texts, or one is not UTF-8. */
  async texts(key: string): Promise<readonly string[] | undefined> {
    const value = this.#values.get(key);
    if (!value) return undefined;
    if (value.type !== "array" || value.elementType !== "string") {
      throw this.#unfit(key, value, "a list of texts");
    }
    if (value.count > MAX_STRINGS) {
      throw this.refuse(key, `it has ${value.count} texts; at most ${MAX_STRINGS} are expected`);
    }
    const bytes = await this.#read(key, value);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const texts: string[] = [];
    // The header's reader walked along these lengths: they end where the bytes do.
    for (let at = 0; at < bytes.byteLength;) {
      const length = Number(view.getBigUint64(at, true));
      const offset = value.offset + at + 8;
      texts.push(decodeText(bytes.subarray(at + 8, at + 8 + length), this.file, { offset }));
      at += 8 + length;
    }
    return texts;
  }

  /** @throws {CheckpointFormatError} when it is no list of numbers. */
  async numbers(key: string): Promise<readonly number[] | undefined> {
    const value = this.#values.get(key);
    if (!value) return undefined;
    if (
      value.type !== "array" || value.elementType === "string" || value.elementType === "bool"
    ) {
      throw this.#unfit(key, value, "a list of numbers");
    }
    if (value.count > MAX_STRINGS) {
      throw this.refuse(key, `it has ${value.count} numbers; at most ${MAX_STRINGS} are expected`);
    }
    const [width, read] = SCALARS[value.elementType];
    const bytes = await this.#read(key, value);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: value.count }, (_, i) => Number(read(view, width * i)));
  }

  /** @throws {CheckpointFormatError} when it is no list of flags. */
  async flags(key: string): Promise<readonly boolean[] | undefined> {
    const value = this.#values.get(key);
    if (!value) return undefined;
    if (value.type !== "array" || value.elementType !== "bool") {
      throw this.#unfit(key, value, "a list of flags");
    }
    return [...await this.#read(key, value)].map((byte) => byte !== 0);
  }

  /**
   * An entry with its value, as another file may have it. @throws {CheckpointFormatError} as
   * `texts` and `numbers`.
   */
  async entry(key: string): Promise<MetadataEntry> {
    const value = this.#values.get(key);
    if (!value) throw new TypeError(`the metadata has no ${key}`);
    if (value.type === "string") return { key, type: value.type, value: (await this.text(key))! };
    if (value.type !== "array") return { key, type: value.type, value: value.value };
    const { type, elementType } = value;
    const values = elementType === "string"
      ? await this.texts(key)
      : elementType === "bool"
      ? await this.flags(key)
      : await this.numbers(key);
    return { key, type, elementType, values: values! };
  }

  /** The error for a value that cannot be used. */
  refuse(key: string, problem: string): CheckpointFormatError {
    const value = this.#values.get(key);
    const offset = value && "offset" in value ? value.offset : undefined;
    return new CheckpointFormatError(`${key}: ${problem}`, { file: this.file, offset });
  }

  #unfit(key: string, value: MetadataValue, needed: string): CheckpointFormatError {
    const found = value.type === "array" ? `array of ${value.elementType}` : value.type;
    return this.refuse(key, `its type is ${found} and it needs to be ${needed}`);
  }

  #read(key: string, { offset, byteLength }: { offset: number; byteLength: number }) {
    if (byteLength > MAX_TEXT_BYTES) {
      throw this.refuse(
        key,
        `it takes ${byteLength} bytes; at most ${MAX_TEXT_BYTES} are expected`,
      );
    }
    return this.#source.read(offset, byteLength);
  }
}
