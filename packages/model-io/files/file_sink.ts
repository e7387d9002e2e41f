import { basename, dirname, join } from "node:path";
import type { ByteSink } from "../byte_sink.ts";

/**
 * Writes a local file under a temporary name beside the target and renames it on `commit`, synced before and after, so
 * that after a power cut the name holds the old file or the new one, never a part.
 */
export class FileSink implements ByteSink {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: Deno.FsFile;
  #open = true;
  #committed = false;

  private constructor(path: string, temporary: string, file: Deno.FsFile) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  static async open(path: string): Promise<FileSink> {
    const temporary = join(dirname(path), `.${basename(path)}.partial`);
    const file = await Deno.open(temporary, { write: true, create: true, truncate: true });
    return new FileSink(path, temporary, file);
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let n = 0; n < bytes.byteLength;) n += await this.#file.write(bytes.subarray(n));
  }

  async commit(): Promise<void> {
    await this.#file.sync();
    this.#close();
    await Deno.rename(this.#temporary, this.#path);
    this.#committed = true;
    await syncFolder(dirname(this.#path));
  }

  async abort(): Promise<void> {
    if (this.#committed) return;
    this.#close();
    await Deno.remove(this.#temporary).catch(() => {});
  }

  #close() {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }
}

/** Makes a rename last through a power cut. Windows has no handle of a folder and orders renames by itself. */
async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  const folder = await Deno.open(path, { read: true });
  try {
    await folder.sync();
  } finally {
    folder.close();
  }
}
