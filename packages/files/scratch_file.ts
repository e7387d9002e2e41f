import { ReadError } from "@lopper/core";
import type { Scratch } from "@lopper/formats";
import { partialName } from "./file_sink.ts";
import { MAX_CALL_BYTES } from "./file_source.ts";
import { reading } from "./system_reason.ts";
import { writing } from "./write_error.ts";
import fs, { type FileHandle } from "node:fs/promises";
import { join } from "node:path";

/**
 * A file without a name, in a folder: whatever ends the process, the system gives back its space.
 * Where a file that is open keeps its name, as on Windows, it goes when it is closed, and what a
 * kill leaves has a name that tells it.
 */
export class ScratchFile implements Scratch {
  readonly #path: string;
  readonly #file: FileHandle;
  #named: boolean;

  private constructor(path: string, file: FileHandle, named: boolean) {
    this.#path = path;
    this.#file = file;
    this.#named = named;
  }

  /** @throws {WriteError} when there can be no file. */
  static async open(folder: string): Promise<ScratchFile> {
    const path = join(folder, partialName("scratch"));
    const file = await writing(path, () => fs.open(path, "wx+"));
    const named = await fs.unlink(path).then(() => false, () => true);
    return new ScratchFile(path, file, named);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await reading(this.#path, async () => {
      for (let filled = 0; filled < length;) {
        const wanted = Math.min(length - filled, MAX_CALL_BYTES);
        const { bytesRead } = await this.#file.read(bytes, filled, wanted, offset + filled);
        if (bytesRead === 0) throw new ReadError(this.#path, "it is shorter than what was written");
        filled += bytesRead;
      }
    });
    return bytes;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await writing(this.#path, async () => {
      for (let n = 0; n < bytes.byteLength;) {
        const length = Math.min(bytes.byteLength - n, MAX_CALL_BYTES);
        n += (await this.#file.write(bytes, n, length, offset + n)).bytesWritten;
      }
    });
  }

  async close(): Promise<void> {
    await this.#file.close();
    if (!this.#named) return;
    this.#named = false;
    await writing(this.#path, () => fs.unlink(this.#path));
  }
}
