import { type Architecture, shapeOfWeight } from "@lopper/core";
import { lengthToRead, type TensorInfo, type TensorStore } from "@lopper/formats";
import { blockTensorName, type Family } from "./families/family.ts";

/**
 * The tensors of a checkpoint, with those beside them that follow from the config where it has
 * none. Pruned models have them all: what stays of them no longer follows.
 */
export function withComputed(
  { blocks }: Pick<Architecture, "blocks">,
  store: TensorStore,
  { family, description }: { family: Family; description: string },
): TensorStore {
  const values = new Map<string, Float32Array>();
  for (const block of blocks) {
    for (const { name } of block.weights) {
      const compute = family.computed?.[name];
      const tensor = blockTensorName(family, block, name);
      if (!compute || store.tensors.has(tensor)) continue;
      values.set(tensor, compute(shapeOfWeight(block, name)[0]));
    }
  }
  return values.size === 0 ? store : new ComputedStore(store, values, description);
}

class ComputedStore implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #base: TensorStore;
  readonly #values: ReadonlyMap<string, Float32Array>;

  constructor(base: TensorStore, values: ReadonlyMap<string, Float32Array>, file: string) {
    this.#base = base;
    this.#values = values;
    const computed = [...values].map(([name, { length, byteLength }]): [string, TensorInfo] => [
      name,
      { name, dtype: "F32", shape: [length], file, offset: 0, byteLength },
    ]);
    this.tensors = new Map([...base.tensors, ...computed]);
  }

  async readBytes(name: string, byteOffset = 0, byteLength?: number): Promise<Uint8Array> {
    const values = this.#values.get(name);
    if (!values) return await this.#base.readBytes(name, byteOffset, byteLength);
    const length = lengthToRead({ name, byteLength: values.byteLength }, byteOffset, byteLength);
    return new Uint8Array(values.slice().buffer, byteOffset, length);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    return this.#values.get(name)?.slice() ?? await this.#base.readFloat32(name);
  }

  async readHalves(name: string, into?: Uint8Array): Promise<Uint16Array> {
    if (this.#values.has(name)) throw new TypeError(`tensor ${name} is F32, not F16 or BF16`);
    return await this.#base.readHalves(name, into);
  }

  close() {
    this.#base.close();
  }
}
