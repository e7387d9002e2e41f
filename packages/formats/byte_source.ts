import { CheckpointFormatError } from "@lopper/core";

/** Random access to the bytes of one file, wherever it lies. Offsets and lengths are in bytes. */
export interface ByteSource {
  /** Shown in messages: a path, or what stands for one. */
  readonly name: string;
  readonly size: number;
  /**
   * Reads exactly `length` bytes. Bounds are checked before anything is allocated.
   * @param into room of that length at least, which may take them: to be given new memory takes
   *   longer than to read what the system has at hand.
   * @throws {CheckpointFormatError} when the range is not within the file.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

/** @throws {CheckpointFormatError} when the range is not within the source. */
export function checkRange(source: { name: string; size: number }, offset: number, length: number) {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 &&
    length >= 0 && offset + length <= source.size;
  if (valid) return;
  throw new CheckpointFormatError(
    `${length} bytes are needed from there and the file has ${source.size} bytes`,
    { file: source.name, offset },
  );
}

/** Bytes that are in memory already; reads are views, not copies. */
export class MemorySource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.size = bytes.byteLength;
    this.#bytes = bytes;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    try {
      checkRange(this, offset, length);
    } catch (error) {
      return Promise.reject(error);
    }
    return Promise.resolve(this.#bytes.subarray(offset, offset + length));
  }

  close() {}
}

/** A Blob or File, as a browser hands them over. */
export class BlobSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #blob: Blob;

  constructor(name: string, blob: Blob) {
    this.name = name;
    this.size = blob.size;
    this.#blob = blob;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this, offset, length);
    return new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer());
  }

  close() {}
}
