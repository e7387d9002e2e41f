import { DTYPE_BYTES } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { finiteFloat32, finiteHalves, type OffsetOf } from "../finite_values.ts";
import type { TensorInfo, TensorStore } from "../tensors.ts";

/**
 * Bytes of a transposed matrix that are read and turned at a time, where its rows are no longer
 * than that.
 */
const CHUNK_BYTES = 1024 * 1024;

/** A weight as it lies in a file. `info.offset` is where its first value lies. */
export interface PlacedWeight {
  readonly info: TensorInfo;
  /**
   * Values from one row of the stored matrix to the next, where that is the weight's transpose; 0
   * where it is the weight.
   */
  readonly stride: number;
}

/**
 * The tensors of an ONNX model as weights, `[out, in]` whatever the graph has. A transposed matrix
 * is turned when it is read, as many rows as are asked for, and nothing of it is kept.
 */
export class OnnxTensorStore implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #weights: ReadonlyMap<string, PlacedWeight>;
  readonly #sources: ReadonlyMap<string, ByteSource>;

  /** @param sources the files of the weights by their names. */
  constructor(weights: readonly PlacedWeight[], sources: ReadonlyMap<string, ByteSource>) {
    this.#weights = new Map(weights.map((weight) => [weight.info.name, weight]));
    this.tensors = new Map(weights.map(({ info }) => [info.name, info]));
    this.#sources = sources;
  }

  async readBytes(name: string, byteOffset = 0, byteLength?: number): Promise<Uint8Array> {
    const weight = this.#get(name);
    const { info, stride } = weight;
    const length = byteLength ?? info.byteLength - byteOffset;
    if (byteOffset < 0 || length < 0 || byteOffset + length > info.byteLength) {
      throw new RangeError(
        `tensor ${name} has ${info.byteLength} bytes, not ${length} from ${byteOffset} on`,
      );
    }
    if (stride === 0) {
      return await this.#sources.get(info.file)!.read(info.offset + byteOffset, length);
    }
    const rowBytes = info.shape[1] * DTYPE_BYTES[info.dtype];
    const first = Math.floor(byteOffset / rowBytes);
    const end = Math.ceil((byteOffset + length) / rowBytes);
    const start = byteOffset - first * rowBytes;
    return (await this.#readRows(weight, first, end)).subarray(start, start + length);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const weight = this.#get(name);
    return finiteFloat32(weight.info, await this.readBytes(name), offsetIn(weight));
  }

  async readHalves(name: string): Promise<Uint16Array> {
    const weight = this.#get(name);
    return finiteHalves(weight.info, await this.readBytes(name), offsetIn(weight));
  }

  close() {
    for (const source of this.#sources.values()) source.close();
  }

  /** Rows `first` to `end` of a weight whose transpose is stored: columns there. */
  async #readRows({ info, stride }: PlacedWeight, first: number, end: number): Promise<Uint8Array> {
    const source = this.#sources.get(info.file)!;
    const width = DTYPE_BYTES[info.dtype];
    const columns = info.shape[1];
    const count = end - first;
    const Values = width === 2 ? Uint16Array : Uint32Array;
    const out = new Values(count * columns);
    // Most of each stored row is read together with its neighbours; a small part of it, alone.
    const chunk = count < stride / 2 ? 1 : Math.max(1, Math.floor(CHUNK_BYTES / (stride * width)));
    for (let column = 0; column < columns; column += chunk) {
      const rows = Math.min(chunk, columns - column);
      const bytes = await source.read(
        info.offset + (column * stride + first) * width,
        ((rows - 1) * stride + count) * width,
      );
      const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
      const stored = new Values(
        aligned.buffer as ArrayBuffer,
        aligned.byteOffset,
        bytes.byteLength / width,
      );
      for (let row = 0; row < count; row++) {
        for (let i = 0, to = row * columns + column; i < rows; i++) {
          out[to + i] = stored[i * stride + row];
        }
      }
    }
    return new Uint8Array(out.buffer);
  }

  #get(name: string): PlacedWeight {
    const weight = this.#weights.get(name);
    if (!weight) throw new TypeError(`the checkpoint has no tensor ${name}`);
    return weight;
  }
}

/** Where a value of a weight lies. */
function offsetIn({ info, stride }: PlacedWeight): OffsetOf {
  const width = DTYPE_BYTES[info.dtype];
  const columns = info.shape[1] ?? 1;
  return (index) =>
    info.offset +
    width * (stride === 0 ? index : index % columns * stride + Math.floor(index / columns));
}
