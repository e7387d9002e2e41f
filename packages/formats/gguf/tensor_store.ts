import { DTYPE_BYTES, type FloatDType, UnsupportedModelError } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { fromFloat32, toFloat32 } from "../dtypes.ts";
import { finiteFloat32, finiteHalves, type OffsetOf } from "../finite_values.ts";
import { lengthToRead, type TensorInfo, type TensorStore } from "../tensors.ts";
import type { GgufTensor } from "./header.ts";
import type { GgufTensorType } from "./tensor_types.ts";

/** Bytes of a quantised tensor that are read and decoded at a time. */
const CHUNK_BYTES = 1024 * 1024;

/** From here on, rounding to F16 gives infinity. */
const F16_LIMIT = 65_520;

/** A tensor of the file under the name that it has as a weight. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: GgufTensor;
  /**
   * Rows of a head whose two halves are interleaved in the file, so that neighbours are rotated
   * together; 0 where rows are in order.
   */
  readonly interleavedRows: number;
  /** The file holds 1 + w of a weight w: a norm's gain. */
  readonly plusOne?: true;
  /** Which rows of the tensor it is, where it is not all of them. */
  readonly part?: { readonly from: number; readonly rows: number };
}

/** A matrix as it lies in the file. */
export interface StoredTensor {
  readonly type: GgufTensorType;
  /** Rows of a head whose two halves are interleaved; 0 where rows are in order. */
  readonly interleavedRows: number;
  /**
   * Bytes of rows, and of blocks of values in each of them; null for all. Rows are in the order of
   * the file, in which those of a head may be interleaved.
   */
  read(rows: Uint32Array | null, blocks: Uint32Array | null): Promise<Uint8Array>;
}

/** A tensor as rows: how they lie in the file, and what they are outside of it. */
interface Rows extends NamedTensor {
  /** `offset` is where the first row begins in the file. */
  readonly info: TensorInfo;
  readonly rows: number;
  readonly columns: number;
  /** Bytes of a row in the file. */
  readonly storedBytes: number;
  /** Bytes of a row in the tensor's dtype. */
  readonly rowBytes: number;
}

/**
 * The tensors of a GGUF file as weights: quantised ones are F16, and the rows of q and k are in the
 * order of Hugging Face checkpoints. A tensor is decoded when it is read, as many rows as are asked
 * for, and nothing of it is kept.
 */
export class GgufTensorStore implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: ByteSource;
  readonly #rows: ReadonlyMap<string, Rows>;

  constructor(source: ByteSource, tensors: readonly NamedTensor[]) {
    this.#source = source;
    this.#rows = new Map(tensors.map((t) => [t.name, rowsOf(t, source.name)]));
    this.tensors = new Map([...this.#rows].map(([name, { info }]) => [name, info]));
  }

  async readBytes(name: string, byteOffset = 0, byteLength?: number): Promise<Uint8Array> {
    const rows = this.#get(name);
    const { info, rowBytes, tensor, interleavedRows, plusOne } = rows;
    const length = lengthToRead(info, byteOffset, byteLength);
    if (!tensor.type.dequantize && interleavedRows === 0 && !plusOne) {
      return await this.#source.read(info.offset + byteOffset, length);
    }
    const first = Math.floor(byteOffset / rowBytes);
    const end = Math.ceil((byteOffset + length) / rowBytes);
    const bytes = await this.#readRows(rows, first, end);
    const skipped = byteOffset - first * rowBytes;
    return bytes.subarray(skipped, skipped + length);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const rows = this.#get(name);
    return finiteFloat32(rows.info, await this.readBytes(name), offsetIn(rows));
  }

  async readHalves(name: string): Promise<Uint16Array> {
    const rows = this.#get(name);
    return finiteHalves(rows.info, await this.readBytes(name), offsetIn(rows));
  }

  /** How a matrix lies in the file; null for a vector. */
  stored(name: string): StoredTensor | null {
    const { tensor: { type, shape }, interleavedRows } = this.#get(name);
    return shape.length > 1
      ? { type, interleavedRows, read: (rows, blocks) => this.#copy(name, rows, blocks) }
      : null;
  }

  close() {
    this.#source.close();
  }

  /** Bytes of some rows, and of some blocks of each, as they are in the file. */
  async #copy(
    name: string,
    wanted: Uint32Array | null,
    blocks: Uint32Array | null,
  ): Promise<Uint8Array> {
    const { info, rows, storedBytes, tensor: { type: { blockBytes } } } = this.#get(name);
    const all = await this.#source.read(info.offset, rows * storedBytes);
    const each = blocks ? blocks.length * blockBytes : storedBytes;
    const count = wanted?.length ?? rows;
    const out = new Uint8Array(count * each);
    for (let i = 0; i < count; i++) {
      const from = (wanted ? wanted[i] : i) * storedBytes;
      if (!blocks) out.set(all.subarray(from, from + each), i * each);
      else {
        blocks.forEach((block, at) => {
          const start = from + block * blockBytes;
          out.set(all.subarray(start, start + blockBytes), i * each + at * blockBytes);
        });
      }
    }
    return out;
  }

  /** Rows `first` to `end` in the tensor's dtype. */
  async #readRows(rows: Rows, first: number, end: number): Promise<Uint8Array> {
    const { tensor, info, storedBytes, rowBytes, interleavedRows, columns, plusOne } = rows;
    const out = new Uint8Array((end - first) * rowBytes);
    // What is asked for of a head may lie anywhere in it.
    const head = Math.max(1, interleavedRows);
    const lastRow = Math.ceil(end / head) * head;
    const chunk = Math.max(1, Math.floor(CHUNK_BYTES / storedBytes));
    for (let row = Math.floor(first / head) * head; row < lastRow; row += chunk) {
      const count = Math.min(chunk, lastRow - row);
      const stored = await this.#source.read(
        info.offset + row * storedBytes,
        count * storedBytes,
      );
      let decoded = stored;
      if (tensor.type.dequantize) {
        const values = new Float32Array(count * columns);
        tensor.type.dequantize(stored, values);
        if (tensor.type.dtype === "F16") this.#checkHalf(rows, row, values);
        decoded = fromFloat32(tensor.type.dtype, values);
      }
      if (plusOne) decoded = lessOne(tensor.type.dtype, decoded);
      for (let i = 0; i < count; i++) {
        const to = rowInOrder(row + i, interleavedRows) - first;
        if (to < 0 || to >= end - first) continue;
        out.set(decoded.subarray(i * rowBytes, (i + 1) * rowBytes), to * rowBytes);
      }
    }
    return out;
  }

  /** @throws {UnsupportedModelError} when F16 would make a finite value infinite. */
  #checkHalf({ info, columns, interleavedRows }: Rows, firstRow: number, values: Float32Array) {
    for (let i = 0; i < values.length; i++) {
      const size = Math.abs(values[i]);
      if (size < F16_LIMIT || !(size < Infinity)) continue;
      const row = rowInOrder(firstRow + Math.floor(i / columns), interleavedRows);
      throw new UnsupportedModelError(
        `${info.file}, tensor ${JSON.stringify(info.name)}: a value of row ${row} is ${
          values[i]
        }, and quantised weights ` +
          "become F16, which ends at 65504",
      );
    }
  }

  #get(name: string): Rows {
    const rows = this.#rows.get(name);
    if (!rows) throw new TypeError(`the checkpoint has no tensor ${name}`);
    return rows;
  }
}

function rowsOf(named: NamedTensor, file: string): Rows {
  const { name, tensor, interleavedRows, part } = named;
  const { type, byteLength } = tensor;
  const all = tensor.shape.reduce((product, d) => product * d, 1);
  // A vector is one row, but for one whose elements belong to interleaved rows, or to several
  // weights.
  const byElement = tensor.shape.length === 1 && (interleavedRows > 0 || part !== undefined);
  const columns = byElement ? 1 : tensor.shape[tensor.shape.length - 1];
  if (columns % type.blockSize !== 0) {
    throw new UnsupportedModelError(
      `${file}, tensor ${
        JSON.stringify(tensor.name)
      }: it is ${type.name}, and Lopper needs biases of q and k to be ` +
        "F32, F16 or BF16",
    );
  }
  const storedBytes = byteLength / (all / columns);
  const rows = part?.rows ?? all / columns;
  const shape = part ? [part.rows, ...tensor.shape.slice(1)] : tensor.shape;
  const start = tensor.offset + (part?.from ?? 0) * storedBytes;
  const rowBytes = columns * DTYPE_BYTES[type.dtype];
  const info = {
    ...{ name, dtype: type.dtype, shape, file, offset: start },
    byteLength: rows * rowBytes,
  };
  return { ...named, info, rows, columns, storedBytes, rowBytes };
}

function lessOne(dtype: FloatDType, bytes: Uint8Array): Uint8Array {
  return fromFloat32(dtype, toFloat32(dtype, bytes).map((gain) => gain - 1));
}

/**
 * Where a row of the file belongs. Of a head of d rows, row 2j of the file is row j, and row 2j + 1
 * is row j + d/2: llama.cpp rotates neighbours, transformers the two halves of a head.
 */
function rowInOrder(row: number, headRows: number): number {
  if (headRows === 0) return row;
  const inHead = row % headRows;
  return row - inHead + (inHead >> 1) + (inHead & 1) * (headRows / 2);
}

/** Where the block begins that holds a value. */
function offsetIn(rows: Rows): OffsetOf {
  const { tensor, info, columns, storedBytes, interleavedRows } = rows;
  const { blockSize, blockBytes } = tensor.type;
  return (index) => {
    const wanted = Math.floor(index / columns);
    let row = wanted;
    if (interleavedRows > 0) {
      const start = wanted - wanted % interleavedRows;
      row = start;
      while (rowInOrder(row, interleavedRows) !== wanted) row += 1;
    }
    return info.offset + row * storedBytes +
      Math.floor(index % columns / blockSize) * blockBytes;
  };
}
