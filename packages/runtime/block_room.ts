/**
 * Memory that blocks take in turn which are read from the file one after the other: what the system
 * gives anew it clears page by page, which takes longer than to read a block and to lay it out.
 */
export class BlockRoom {
  #read: Uint8Array | null = null;
  /** By what was laid out in them. */
  readonly #laidOut = new Map<string, ArrayBuffer>();

  /** Room for a tensor as the file has it; what was read there before is gone. */
  toRead(bytes: number): Uint8Array {
    if ((this.#read?.byteLength ?? 0) < bytes) this.#read = new Uint8Array(bytes);
    return this.#read!.subarray(0, bytes);
  }

  /**
   * Room for so many halves; what was laid out there under this name is gone. The array is another
   * one every time.
   */
  toLayOut(name: string, length: number): Uint16Array {
    const bytes = length * Uint16Array.BYTES_PER_ELEMENT;
    let buffer = this.#laidOut.get(name);
    if (!buffer || buffer.byteLength < bytes) {
      buffer = new ArrayBuffer(bytes);
      this.#laidOut.set(name, buffer);
    }
    return new Uint16Array(buffer, 0, length);
  }

  /** Gives its memory back until its next use. */
  release() {
    this.#read = null;
    this.#laidOut.clear();
  }
}
