import type { ByteSink } from "@lopper/formats";
import { MAX_CALL_BYTES } from "./file_source.ts";
import { writing } from "./write_error.ts";
import fs, { type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";

/** The end of names under which files are written; nobody else has such names. */
const PARTIAL = /^\..*\.[0-9a-f]{12}\.lopper-partial$/;
/**
 * Letters of a file's own name in its temporary one: with four bytes each, the whole name is one
 * that file systems take.
 */
const MAX_LETTERS = 50;
/** Nobody writes on a file for so long without touching it, in milliseconds. */
const DEAD_AFTER = 24 * 60 * 60 * 1000;

/** Whether a name is that of a file which Lopper was writing; when nobody is, a kill left it. */
export function isPartialName(name: string): boolean {
  return PARTIAL.test(name);
}

/**
 * Writes a local file under a temporary name of its own beside the target and renames it on
 * `commit`, synced before and after, so that after a power cut the name holds the old file or the
 * new one, never a part. What the system refuses is a `WriteError` that names the file.
 */
export class FileSink implements ByteSink {
  readonly #path: string;
  readonly #shown: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  #open = true;
  #committed = false;

  private constructor(path: string, shown: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#shown = shown;
    this.#temporary = temporary;
    this.#file = file;
  }

  /** @param shown what the file is called in errors, where it goes elsewhere in the end. */
  static async open(path: string, shown = path): Promise<FileSink> {
    const name = [...basename(path)].slice(0, MAX_LETTERS).join("");
    const folder = dirname(path);
    await removeDead(folder, name);
    const temporary = join(folder, partialName(name));
    const file = await writing(shown, () => fs.open(temporary, "wx"));
    return new FileSink(path, shown, temporary, file);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await writing(this.#shown, async () => {
      for (let n = 0; n < bytes.byteLength;) {
        const length = Math.min(bytes.byteLength - n, MAX_CALL_BYTES);
        n += (await this.#file.write(bytes, n, length)).bytesWritten;
      }
    });
  }

  async commit(): Promise<void> {
    await writing(this.#shown, async () => {
      await this.#file.sync();
      await this.#close();
      await fs.rename(this.#temporary, this.#path);
      this.#committed = true;
      await syncFolder(dirname(this.#path));
    });
  }

  async abort(): Promise<void> {
    if (this.#committed) return;
    await this.#close().catch(() => {});
    await fs.unlink(this.#temporary).catch(() => {});
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}

/** A name that nobody else has, by which a file is known as one that does not last. */
export function partialName(name: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `.${name}.${digits}.lopper-partial`;
}

/**
 * Removes what kills left of earlier attempts at a file, as far as that is certain without a lock.
 */
async function removeDead(folder: string, name: string): Promise<void> {
  try {
    for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
      if (!entry.isFile() || !isPartialName(entry.name) || !entry.name.startsWith(`.${name}.`)) {
        continue;
      }
      const path = join(folder, entry.name);
      const { mtimeMs } = await fs.stat(path);
      if (Date.now() - mtimeMs > DEAD_AFTER) await fs.unlink(path);
    }
  } catch { /* what cannot be tidied up is not in the way */ }
}

/**
 * Makes a rename last through a power cut. Windows has no handle of a folder and orders renames by
 * itself.
 */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await fs.open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
