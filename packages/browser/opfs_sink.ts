import type { ByteSink } from "@lopper/formats";
import { type AccessHandle, type FolderHandle, type OwnFile, removeEntry } from "./handles.ts";

/** The end of the names under which files are written; nobody else has such names. */
const PARTIAL = ".lopper-partial";

/** A file of the origin's own file system. It has another name until it is whole. */
export class OpfsSink implements ByteSink {
  readonly #folder: FolderHandle;
  readonly #name: string;
  readonly #file: OwnFile;
  #access: AccessHandle | null;
  #written = 0;

  private constructor(
    folder: FolderHandle,
    name: string,
    file: OwnFile,
    access: AccessHandle,
  ) {
    this.#folder = folder;
    this.#name = name;
    this.#file = file;
    this.#access = access;
  }

  static async open(folder: FolderHandle, name: string): Promise<OpfsSink> {
    const file = await folder.getFileHandle(name + PARTIAL, { create: true }) as OwnFile;
    const access = await file.createSyncAccessHandle();
    access.truncate(0);
    return new OpfsSink(folder, name, file, access);
  }

  write(bytes: Uint8Array): Promise<void> {
    try {
      writeAll(this.#access!, bytes, this.#written);
      this.#written += bytes.byteLength;
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async commit(): Promise<void> {
    this.#access!.flush();
    this.#close();
    // Not every browser moves a file into the place of another.
    await removeEntry(this.#folder, this.#name);
    await this.#file.move(this.#name);
  }

  async abort(): Promise<void> {
    if (!this.#access) return;
    this.#close();
    await removeEntry(this.#folder, this.#name + PARTIAL);
  }

  #close() {
    this.#access!.close();
    this.#access = null;
  }
}

/** Writes all bytes from a place on. @throws {DOMException} when there is no room for them. */
export function writeAll(access: AccessHandle, bytes: Uint8Array, at: number) {
  for (let done = 0; done < bytes.byteLength;) {
    const n = access.write(bytes.subarray(done), { at: at + done });
    if (n === 0) throw new DOMException("no byte more was written", "QuotaExceededError");
    done += n;
  }
}
