import type { TensorInfo } from "@lopper/formats";
import type { Model } from "@lopper/models";

/**
 * Memory that blocks take in turn which are read from the file one after the other: what the system
 * gives anew it clears page by page, which takes longer than to read a block and to lay it out.
 * While one is in use, the next may be read.
 */
export class BlockRoom {
  readonly #read = new Arena();
  readonly #laidOut = new Arena();
  /** What is on its way or there as the file has it, by the names of tensors. */
  readonly #coming = new Map<string, Promise<Uint16Array>>();

  /**
   * Begins to read the halves of a block, and says so of a failure when they are asked for. What
   * was read before and not laid out is gone.
   */
  async read({ store }: Model, tensors: readonly TensorInfo[]) {
    if (tensors.every(({ name }) => this.#coming.has(name))) return;
    // Nobody else may be writing there.
    await Promise.allSettled(this.#coming.values());
    this.#coming.clear();
    this.#read.clear(bytesOf(tensors));
    for (const { name, byteLength } of tensors) {
      const halves = store.readHalves(name, this.#read.take(byteLength));
      halves.catch(() => {});
      this.#coming.set(name, halves);
    }
  }

  /** Begins to lay out a block; the one before is gone. */
  layOut(tensors: readonly TensorInfo[]) {
    this.#laidOut.clear(bytesOf(tensors));
  }

  /**
   * Halves of a tensor that was begun to be read; undefined of another one.
   * @throws {CheckpointFormatError} when a value is NaN or infinite.
   */
  halvesOf(name: string): Promise<Uint16Array> | undefined {
    const halves = this.#coming.get(name);
    this.#coming.delete(name);
    return halves;
  }

  /** Room for so many halves that are laid out; the array is another one every time. */
  toLayOut(length: number): Uint16Array {
    const { buffer, byteOffset } = this.#laidOut.take(length * Uint16Array.BYTES_PER_ELEMENT);
    return new Uint16Array(buffer, byteOffset, length);
  }

  /** Gives its memory back until its next use. */
  release() {
    this.#coming.clear();
    this.#read.release();
    this.#laidOut.release();
  }
}

/** Memory that is taken piece by piece, and all at once again. */
class Arena {
  #bytes = new Uint8Array(0);
  #used = 0;

  /** @param bytes that will be taken. */
  clear(bytes: number) {
    if (this.#bytes.byteLength < bytes) this.#bytes = new Uint8Array(bytes);
    this.#used = 0;
  }

  take(bytes: number): Uint8Array {
    const start = this.#used;
    this.#used += bytes;
    return this.#used <= this.#bytes.byteLength
      ? this.#bytes.subarray(start, this.#used)
      : new Uint8Array(bytes);
  }

  release() {
    this.#bytes = new Uint8Array(0);
    this.#used = 0;
  }
}

function bytesOf(tensors: readonly TensorInfo[]): number {
  return tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
