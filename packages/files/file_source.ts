import { CheckpointFormatError, type InputKind, INPUTS } from "@lopper/core";
import { type ByteSource, checkRange } from "@lopper/formats";
import { reading } from "./system_reason.ts";

/** A local file. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #file: Deno.FsFile;

  private constructor(name: string, size: number, file: Deno.FsFile) {
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
    check(path, await reading(path, () => Deno.stat(path)), kind);
    const file = await reading(path, () => Deno.open(path, { read: true }));
    try {
      const found = await file.stat();
      // It may be another one by now.
      check(path, found, kind);
      return new FileSource(path, found.size, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return await reading(this.name, () => this.#read(offset, length));
  }

  /** Seek and read share the file's position, so they run without a pause between them. */
  #read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    for (let filled = 0; filled < length;) {
      const n = this.#file.readSync(bytes.subarray(filled));
      if (n === null) {
        throw new CheckpointFormatError(
          `the file ended ${length - filled} bytes early; it was changed while it was read`,
          { file: this.name, offset: offset + filled },
        );
      }
      filled += n;
    }
    return bytes;
  }

  close() {
    this.#file.close();
  }
}

function check(path: string, found: Deno.FileInfo, { what, maxBytes, refuse }: InputKind) {
  if (!found.isFile) {
    throw refuse(path, `this is ${natureOf(found)}; Lopper reads regular files and links to them`);
  }
  if (found.size <= maxBytes) return;
  throw refuse(path, `it has ${found.size} bytes and ${what} has ${maxBytes} at most`);
}

function natureOf(found: Deno.FileInfo): string {
  if (found.isDirectory) return "a folder";
  if (found.isFifo) return "a pipe";
  if (found.isSocket) return "a socket";
  return found.isCharDevice || found.isBlockDevice ? "a device" : "something else than a file";
}
