import type { Scratch } from "@lopper/formats";

/** Bytes that a workspace keeps. */
export interface KeptBytes {
  /** As they were put there; nobody writes to them. */
  read(): Promise<Uint8Array>;
  /** They are needed no more, and others may have their place. */
  drop(): void;
}

/**
 * Room for what lies between two parts of a computation, such as the hidden states of a text
 * between two blocks: in memory while there is some, else in a scratch file, which is opened when
 * it is needed.
 */
export class Workspace implements AsyncDisposable {
  readonly #memoryBytes: number;
  readonly #open: (() => Promise<Scratch>) | null;
  #file: Promise<Scratch> | null = null;
  #inMemory = 0;
  /** Where the file ends. */
  #end = 0;
  /** Places in the file that are free, by their sizes: much is of the same size. */
  readonly #free = new Map<number, number[]>();

  /**
   * @param memoryBytes that may be kept in memory.
   * @param open the scratch file; left out, all is kept in memory.
   */
  constructor(memoryBytes = Infinity, open: (() => Promise<Scratch>) | null = null) {
    this.#memoryBytes = memoryBytes;
    this.#open = open;
  }

  /** Bytes that are in memory. */
  get inMemory(): number {
    return this.#inMemory;
  }

  /** Bytes that the scratch file has. */
  get fileBytes(): number {
    return this.#end;
  }

  /** Keeps bytes, which nobody writes to any more. @throws {WriteError} when the file cannot. */
  async keep(bytes: Uint8Array): Promise<KeptBytes> {
    const { byteLength } = bytes;
    if (!this.#open || this.#inMemory + byteLength <= this.#memoryBytes) {
      this.#inMemory += byteLength;
      return {
        read: () => Promise.resolve(bytes),
        drop: once(() => this.#inMemory -= byteLength),
      };
    }
    const file = await (this.#file ??= this.#open());
    const offset = this.#placeFor(byteLength);
    await file.write(offset, bytes);
    return {
      read: () => file.read(offset, byteLength),
      drop: once(() => this.#freeOf(byteLength).push(offset)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = await this.#file;
    this.#file = null;
    await file?.close();
  }

  #placeFor(bytes: number): number {
    const free = this.#freeOf(bytes).pop();
    if (free !== undefined) return free;
    this.#end += bytes;
    return this.#end - bytes;
  }

  #freeOf(bytes: number): number[] {
    const places = this.#free.get(bytes) ?? [];
    this.#free.set(bytes, places);
    return places;
  }
}

/** What is dropped twice would give its place away twice. */
function once(drop: () => void): () => void {
  let dropped = false;
  return () => {
    if (!dropped) drop();
    dropped = true;
  };
}
