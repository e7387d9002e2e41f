import { DTYPE_BYTES } from "@lopper/core";
import { copyValues, type StoredTensor } from "./stored_tensor.ts";

/** The first values of a tensor. */
interface Prefix {
  readonly tensor: StoredTensor;
  readonly length: number;
}

/** Where the values of a tensor lie in the buffer. */
interface Place {
  readonly start: number;
  readonly length: number;
}

/**
 * Room in which half-precision weights are expanded whenever they are used; made on its first use.
 * What was expanded last is there until something else is: candidates go through a block one after
 * the other, and a narrower one needs the first values of what a wider one did.
 */
export class SharedBuffer {
  readonly #bytes: number;
  #values: Float32Array<ArrayBuffer> | null = null;
  /** By the values of the tensors, which nothing here keeps in memory. */
  #expanded = new WeakMap<StoredTensor["data"], Place>();

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /**
   * The first `length` values of each tensor in float32: views, or expanded side by side into the
   * buffer.
   */
  float32(prefixes: readonly Prefix[]): readonly Float32Array[] {
    const halves = prefixes.filter(({ tensor }) => tensor.dtype !== "F32");
    const areThere = halves.every(({ tensor, length }) =>
      (this.#expanded.get(tensor.data)?.length ?? -1) >= length
    );
    if (!areThere) this.#expand(halves);
    return prefixes.map(({ tensor, length }) => {
      if (tensor.dtype === "F32") return tensor.data.subarray(0, length);
      const { start } = this.#expanded.get(tensor.data)!;
      return this.#part(start, start + length);
    });
  }

  #expand(halves: readonly Prefix[]) {
    this.forget();
    let used = 0;
    for (const { tensor, length } of halves) {
      const start = used;
      copyValues(tensor, 0, this.#part(start, used += length));
      this.#expanded.set(tensor.data, { start, length });
    }
  }

  /** Has to be told when values of a tensor are others than they were. */
  forget() {
    this.#expanded = new WeakMap();
  }

  /** Gives its memory back until its next use; what was expanded is gone. */
  release() {
    this.forget();
    // Where nobody may look at it any more, waiting for a collection only takes memory.
    this.#values?.buffer.transfer(0);
    this.#values = null;
  }

  /** A part of it, for something else than what was expanded. */
  room(start: number, end: number): Float32Array {
    this.forget();
    return this.#part(start, end);
  }

  #part(start: number, end: number): Float32Array {
    this.#values ??= new Float32Array(this.#bytes / DTYPE_BYTES.F32);
    return this.#values.subarray(start, end);
  }
}
