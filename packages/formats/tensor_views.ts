import { type DType, DTYPE_BYTES } from "@lopper/core";
import { finiteFloat32, finiteHalves } from "./finite_values.ts";
import { countOf, placeOf, type Strided } from "./strided.ts";
import { readStrided } from "./strided_read.ts";
import { lengthToRead, type TensorInfo, type TensorStore } from "./tensors.ts";

/** A tensor whose values lie in others. */
export interface TensorView {
  readonly name: string;
  readonly shape: readonly number[];
  /** Where they lie, one part behind the other along the first axis, all of one length. */
  readonly parts: readonly { readonly tensor: string; readonly strided: Strided }[];
}

/** Where the values of a view lie in tensors that are there. */
interface Placed {
  readonly info: TensorInfo;
  readonly parts: readonly { readonly tensor: TensorInfo; readonly strided: Strided }[];
  readonly partBytes: number;
}

/**
 * A store that offers some tensors by views instead of as they lie in another; those that no view
 * is of are as they are. A view is read as its parts are asked for, and nothing of it is kept.
 */
export class ViewedTensorStore implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #base: TensorStore;
  readonly #views: ReadonlyMap<string, Placed>;

  /**
   * @param left tensors that are not offered.
   * @throws {TypeError} when a part of a view is missing, or of another dtype than the first.
   */
  constructor(
    base: TensorStore,
    views: readonly TensorView[],
    left: ReadonlySet<string> = new Set(),
  ) {
    this.#base = base;
    this.#views = new Map(views.map((view) => [view.name, placed(base, view)]));
    const viewed = views.flatMap(({ parts }) => parts.map(({ tensor }) => tensor));
    const hidden = new Set([...viewed, ...left]);
    this.tensors = new Map([
      ...[...base.tensors].filter(([name]) => !hidden.has(name)),
      ...[...this.#views].map(([name, { info }]): [string, TensorInfo] => [name, info]),
    ]);
  }

  async readBytes(name: string, byteOffset = 0, byteLength?: number): Promise<Uint8Array> {
    const view = this.#views.get(name);
    if (!view) return await this.#base.readBytes(this.#own(name), byteOffset, byteLength);
    const { info, parts, partBytes } = view;
    const length = lengthToRead(info, byteOffset, byteLength);
    const read = (part: number, from: number, count: number) => {
      const { tensor, strided } = parts[part];
      const inTensor = (offset: number, bytes: number) =>
        this.#base.readBytes(tensor.name, offset, bytes);
      return readStrided(inTensor, DTYPE_BYTES[info.dtype], strided, from, count);
    };
    const first = Math.min(parts.length - 1, Math.floor(byteOffset / partBytes));
    const within = byteOffset - first * partBytes;
    if (within + length <= partBytes) return await read(first, within, length);
    const out = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const part = Math.floor((byteOffset + done) / partBytes);
      const from = byteOffset + done - part * partBytes;
      const count = Math.min(partBytes - from, length - done);
      out.set(await read(part, from, count), done);
      done += count;
    }
    return out;
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const view = this.#views.get(name);
    if (!view) return await this.#base.readFloat32(this.#own(name));
    const bytes = await this.readBytes(name);
    return await this.#checked(view, () => finiteFloat32(view.info, bytes, offsetIn(view)));
  }

  async readHalves(name: string): Promise<Uint16Array> {
    const view = this.#views.get(name);
    if (!view) return await this.#base.readHalves(this.#own(name));
    const bytes = await this.readBytes(name);
    return await this.#checked(view, () => finiteHalves(view.info, bytes, offsetIn(view)));
  }

  close() {
    this.#base.close();
  }

  /** What is wrong with a value is said of the tensor that has it in the file. */
  async #checked<T>({ parts }: Placed, decode: () => T): Promise<T> {
    try {
      return decode();
    } catch (error) {
      for (const { tensor } of parts) await this.#base.readFloat32(tensor.name);
      throw error;
    }
  }

  #own(name: string): string {
    if (!this.tensors.has(name)) throw new TypeError(`the checkpoint has no tensor ${name}`);
    return name;
  }
}

function placed({ tensors }: TensorStore, { name, shape, parts }: TensorView): Placed {
  const found = parts.map(({ tensor, strided }) => {
    const stored = tensors.get(tensor);
    if (!stored) throw new TypeError(`the checkpoint has no tensor ${tensor}`);
    return { tensor: stored, strided };
  });
  const [{ tensor: { dtype, file, offset }, strided }] = found;
  const other = found.find(({ tensor }) => tensor.dtype !== dtype);
  if (other) throw new TypeError(`${other.tensor.name} is ${other.tensor.dtype}, not ${dtype}`);
  const partBytes = countOf(strided) * DTYPE_BYTES[dtype];
  const info: TensorInfo = {
    ...{ name, dtype, shape, file },
    offset: offset + strided.start * DTYPE_BYTES[dtype],
    byteLength: partBytes * parts.length,
  };
  return { info, parts: found, partBytes };
}

function offsetIn({ info, parts, partBytes }: Placed): (index: number) => number {
  const width = DTYPE_BYTES[info.dtype as DType];
  return (index) => {
    const part = Math.floor(index * width / partBytes);
    const { tensor, strided } = parts[part];
    return tensor.offset + placeOf(strided, index - part * partBytes / width) * width;
  };
}
