import { CheckpointFormatError, type InputKind, INPUTS } from "@lopper/core";
import { type ByteSource, checkRange } from "@lopper/formats";
import { reading } from "./system_reason.ts";
import fs, { type Stats } from "node:fs";
import { stat } from "node:fs/promises";

/**
 * To read, and at once: a pipe that took a file's place is waited for by nobody. Windows has no
 * such flag.
 */
const AT_ONCE = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);
/** Node reads and writes less than 2 GiB at a time. */
export const MAX_CALL_BYTES = 2 ** 30;
/** What is longer is read while this thread goes on; to come back to it takes less than that. */
const LONG_READ_BYTES = 2 ** 20;

/** A local file. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #file: number;
  /** Long reads that are under way. */
  #reading = 0;
  #isClosed = false;

  /** @param file its number among those that are open. */
  private constructor(name: string, size: number, file: number) {
    this.name = name;
    this.size = size;
    this.#file = file;
  }

  /**
   * Opens a regular file, also by a link to it.
   * @throws what the kind refuses with when it is anything else, or larger than the kind may be.
   * @throws {ReadError} when the system does not let it be read.
   */
  static async open(path: string, kind: InputKind = INPUTS.modelFile): Promise<FileSource> {
    // Before it is opened: to open a pipe waits until somebody writes to it.
    const before = await reading(path, () => stat(path));
    check(path, before, kind);
    const file = await reading(path, () => fs.openSync(path, AT_ONCE));
    try {
      const found = statOpen(file) ?? before;
      // It may be another one by now.
      check(path, found, kind);
      return new FileSource(path, found.size, file);
    } catch (error) {
      fs.closeSync(file);
      throw error;
    }
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return await reading(this.name, async () => {
      checkRange(this, offset, length);
      const bytes = into?.subarray(0, length) ?? new Uint8Array(length);
      if (length < LONG_READ_BYTES) this.#fill(bytes, offset);
      else await this.#fillAside(bytes, offset);
      return bytes;
    });
  }

  /** While this thread goes on. */
  async #fillAside(bytes: Uint8Array, offset: number) {
    this.#reading += 1;
    try {
      const n = await new Promise<number>((resolve, reject) =>
        fs.read(
          this.#file,
          bytes,
          0,
          Math.min(bytes.length, MAX_CALL_BYTES),
          offset,
          (error, count) => error ? reject(error) : resolve(count),
        )
      );
      // As a rule that is all.
      this.#fill(bytes, offset, n);
    } finally {
      this.#reading -= 1;
      if (this.#isClosed) this.close();
    }
  }

  #fill(bytes: Uint8Array, offset: number, filled = 0) {
    const { length } = bytes;
    while (filled < length) {
      const wanted = Math.min(length - filled, MAX_CALL_BYTES);
      const n = fs.readSync(this.#file, bytes, filled, wanted, offset + filled);
      if (n === 0) {
        throw new CheckpointFormatError(
          `the file ended ${length - filled} bytes early; it was changed while it was read`,
          { file: this.name, offset: offset + filled },
        );
      }
      filled += n;
    }
  }

  /** Closes it, when what is under way has been read. */
  close() {
    this.#isClosed = true;
    if (this.#reading === 0) fs.closeSync(this.#file);
  }
}

/** Null for a file that is embedded in a program, of which nobody could make another. */
function statOpen(file: number): Stats | null {
  try {
    return fs.fstatSync(file);
  } catch (error) {
    if (error instanceof Error && error.name === "NotSupported") return null;
    throw error;
  }
}

function check(path: string, found: Stats, { what, maxBytes, refuse }: InputKind) {
  if (!found.isFile()) {
    throw refuse(path, `this is ${natureOf(found)}; Lopper reads regular files and links to them`);
  }
  if (found.size <= maxBytes) return;
  throw refuse(path, `it has ${found.size} bytes and ${what} has ${maxBytes} at most`);
}

function natureOf(found: Stats): string {
  if (found.isDirectory()) return "a folder";
  if (found.isFIFO()) return "a pipe";
  if (found.isSocket()) return "a socket";
  return found.isCharacterDevice() || found.isBlockDevice()
    ? "a device"
    : "something else than a file";
}
