import { DTYPE_BYTES } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { finiteFloat32, finiteHalves, type OffsetOf } from "../finite_values.ts";
import { placeOf, type Strided } from "../strided.ts";
import { readStrided } from "../strided_read.ts";
import { lengthToRead, type TensorInfo, type TensorStore } from "../tensors.ts";

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
    const { info } = weight;
    const length = lengthToRead(info, byteOffset, byteLength);
    const source = this.#sources.get(info.file)!;
    const read = (offset: number, bytes: number) => source.read(info.offset + offset, bytes);
    return await readStrided(read, DTYPE_BYTES[info.dtype], placesOf(weight), byteOffset, length);
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

  #get(name: string): PlacedWeight {
    const weight = this.#weights.get(name);
    if (!weight) throw new TypeError(`the checkpoint has no tensor ${name}`);
    return weight;
  }
}

/** Where the values of a weight lie, behind its first one. */
function placesOf({ info, stride }: PlacedWeight): Strided {
  const [rows, columns = 1] = info.shape;
  const axes = stride === 0
    ? [{ length: info.byteLength / DTYPE_BYTES[info.dtype], stride: 1 }]
    : [{ length: rows, stride: 1 }, { length: columns, stride }];
  return { start: 0, axes };
}

/** Where a value of a weight lies in its file. */
function offsetIn(weight: PlacedWeight): OffsetOf {
  const places = placesOf(weight);
  const { info } = weight;
  return (index) => info.offset + DTYPE_BYTES[info.dtype] * placeOf(places, index);
}
