import { DTYPE_BYTES } from "@lopper/core";
import { copyValues, type StoredTensor } from "./stored_tensor.ts";

/**
 * Room in which half-precision weights are expanded whenever they are used; made on its first use.
 */
export class SharedBuffer {
  readonly #bytes: number;
  #values: Float32Array<ArrayBuffer> | null = null;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /**
   * The first `length` values of each tensor in float32: views, or expanded side by side into the
   * buffer.
   */
  float32(
    prefixes: readonly { readonly tensor: StoredTensor; readonly length: number }[],
  ): readonly Float32Array[] {
    let used = 0;
    return prefixes.map(({ tensor, length }) => {
      if (tensor.dtype === "F32") return tensor.data.subarray(0, length);
      const out = this.room(used, used += length);
      copyValues(tensor, 0, out);
      return out;
    });
  }

  /** Gives its memory back until its next use; what was expanded is gone. */
  release() {
    // Where nobody may look at it any more, waiting for a collection only takes memory.
    this.#values?.buffer.transfer(0);
    this.#values = null;
  }

  /** A part of it. */
  room(start: number, end: number): Float32Array {
    this.#values ??= new Float32Array(this.#bytes / DTYPE_BYTES.F32);
    return this.#values.subarray(start, end);
  }
}
