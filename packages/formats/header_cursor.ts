import { CheckpointFormatError } from "@lopper/core";
import type { ByteSource } from "./byte_source.ts";

/** Bytes read at a time: a header of 50,000 tokens takes a dozen reads. */
const WINDOW_BYTES = 256 * 1024;

const MAX_VARINT_BYTES = 10;

/**
 * Walks through the header of a file from its start, a window at a time. Little-endian. Nothing
 * that the file says about its own sizes is believed before it is compared with the file's size.
 */
export class HeaderCursor {
  readonly #source: ByteSource;
  #window: DataView = new DataView(new ArrayBuffer(0));
  /** Where the window begins in the file, and what is read next. */
  #start = 0;
  #position = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Bytes from the start of the file to what is read next. */
  get position(): number {
    return this.#position;
  }

  /** @throws {CheckpointFormatError} at the current position. */
  fail(problem: string, offset = this.#position): never {
    throw new CheckpointFormatError(problem, { file: this.#source.name, offset });
  }

  /**
   * Makes the next `length` bytes readable, which are few.
   * @throws {CheckpointFormatError} when the file ends before.
   */
  async need(length: number, what: string): Promise<void> {
    if (this.holds(length)) return;
    this.#checkInFile(length, what);
    const size = Math.min(Math.max(length, WINDOW_BYTES), this.#source.size - this.#position);
    const { buffer, byteOffset, byteLength } = await this.#source.read(this.#position, size);
    this.#window = new DataView(buffer, byteOffset, byteLength);
    this.#start = this.#position;
  }

  /** Whether the next `length` bytes can be read without `need`. */
  holds(length: number): boolean {
    return this.#position + length <= this.#start + this.#window.byteLength;
  }

  u8(): number {
    return this.#window.getUint8(this.#take(1));
  }

  u32(): number {
    return this.#window.getUint32(this.#take(4), true);
  }

  /** @throws {CheckpointFormatError} for a number that no file can have so much of. */
  u64(what: string): number {
    const at = this.#take(8);
    const value = this.#window.getUint32(at, true) +
      this.#window.getUint32(at + 4, true) * 2 ** 32;
    if (value > Number.MAX_SAFE_INTEGER) {
      this.fail(`${what} is ${this.#window.getBigUint64(at, true)}`, this.#position - 8);
    }
    return value;
  }

  /**
   * A whole number as protobuf writes it, seven bits a byte, the lowest first; negative ones take
   * ten bytes. Makes its bytes readable itself. Beyond 2⁵³ it is rounded.
   * @throws {CheckpointFormatError} for one that is longer than that, or cut off.
   */
  async varint(what: string): Promise<number> {
    if (!this.holds(MAX_VARINT_BYTES)) {
      const left = this.#source.size - this.#position;
      await this.need(Math.max(1, Math.min(MAX_VARINT_BYTES, left)), what);
    }
    const start = this.#position;
    let low = 0, rest = 0n;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      if (!this.holds(1)) this.fail(`${what} is cut off by the end of the file`, start);
      const byte = this.u8();
      // Most numbers are short, and need no big integers.
      if (i < 7) low += (byte & 127) * 2 ** (7 * i);
      else rest |= BigInt(byte & 127) << BigInt(7 * i);
      if (byte < 128) return i < 7 ? low : Number(BigInt.asIntN(64, rest | BigInt(low)));
    }
    return this.fail(`${what} has more than ${MAX_VARINT_BYTES} bytes`, start);
  }

  /** A number as `read` takes it from a view, little-endian. */
  scalar<T>(byteLength: number, read: (view: DataView, at: number) => T): T {
    return read(this.#window, this.#take(byteLength));
  }

  /** @throws {CheckpointFormatError} when the bytes are not UTF-8. */
  text(byteLength: number): string {
    const at = this.#take(byteLength);
    const { buffer, byteOffset } = this.#window;
    return decodeText(new Uint8Array(buffer, byteOffset + at, byteLength), this.#source.name, {
      offset: this.#start + at,
    });
  }

  /**
   * Passes over bytes without reading them. @throws {CheckpointFormatError} when the file ends
   * before.
   */
  skip(byteLength: number, what: string) {
    this.#checkInFile(byteLength, what);
    this.#position += byteLength;
  }

  #take(byteLength: number): number {
    const at = this.#position - this.#start;
    this.#position += byteLength;
    return at;
  }

  #checkInFile(byteLength: number, what: string) {
    const left = this.#source.size - this.#position;
    if (byteLength <= left) return;
    this.fail(`${what} takes ${byteLength} bytes and the file ends after ${left}`);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws {CheckpointFormatError} when the bytes are not UTF-8. */
export function decodeText(
  bytes: Uint8Array,
  file: string,
  { offset }: { offset: number },
): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw new CheckpointFormatError("not UTF-8 text, which names and strings need to be", {
      file,
      offset,
    }, {
      cause: error,
    });
  }
}
