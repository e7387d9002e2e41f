import { syncFolder } from "./file_sink.ts";
import { MAX_CALL_BYTES } from "./file_source.ts";
import { writing } from "./write_error.ts";
import fs, { type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";

/** Bytes that are read at once of what is there. */
const PART_BYTES = 2 ** 20;

/**
 * A file whose bytes come from far away: what came stays when it is closed, so that another process
 * goes on from there, and it gets its name on `commit`. Nobody else may write it meanwhile.
 */
export class PartialFile {
  readonly #path: string;
  readonly #file: FileHandle;
  #size: number;
  #open = true;

  private constructor(path: string, file: FileHandle, size: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
  }

  /** Opens what is there, or begins. @throws {WriteError} */
  static async open(path: string): Promise<PartialFile> {
    return await writing(path, async () => {
      const file = await fs.open(path, "a+");
      return new PartialFile(path, file, (await file.stat()).size);
    });
  }

  get size(): number {
    return this.#size;
  }

  /** What is there, part by part. */
  async *parts(): AsyncGenerator<Uint8Array> {
    const buffer = new Uint8Array(PART_BYTES);
    for (let at = 0; at < this.#size;) {
      const length = Math.min(PART_BYTES, this.#size - at);
      const { bytesRead } = await this.#file.read(buffer, 0, length, at);
      // Somebody made it shorter: its digest will say so.
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    await writing(this.#path, async () => {
      for (let n = 0; n < bytes.byteLength;) {
        const length = Math.min(bytes.byteLength - n, MAX_CALL_BYTES);
        const { bytesWritten } = await this.#file.write(bytes, n, length);
        n += bytesWritten;
        this.#size += bytesWritten;
      }
    });
  }

  /** Forgets what is there. */
  async clear(): Promise<void> {
    await writing(this.#path, () => this.#file.truncate(0));
    this.#size = 0;
  }

  /** Gives the file its name; through a power cut it has that whole or not at all. */
  async commit(path: string): Promise<void> {
    await writing(path, async () => {
      await this.#file.sync();
      await this.close();
      await fs.rename(this.#path, path);
      await syncFolder(dirname(path));
    });
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}
