import { INPUTS, refusalOf } from "@lopper/core";
import { decodeText } from "@lopper/formats";
import type { AccessHandle, FolderHandle, OwnFile } from "./handles.ts";
import { writeAll } from "./opfs_sink.ts";

const NEWLINE = 10;

/**
 * A text file of the origin's own file system that only grows, line by line. While it is open,
 * nobody else writes to it.
 */
export class OpfsLines implements Disposable {
  readonly #access: AccessHandle;

  private constructor(access: AccessHandle) {
    this.#access = access;
  }

  /** Opens it to go on behind its last complete line: what a crash left of another is cut off. */
  static async open(folder: FolderHandle, name: string): Promise<OpfsLines> {
    const file = await folder.getFileHandle(name, { create: true }) as OwnFile;
    const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
    const access = await file.createSyncAccessHandle();
    access.truncate(bytes.lastIndexOf(NEWLINE) + 1);
    return new OpfsLines(access);
  }

  /** Appends a line; it outlives the tab when this returns. */
  append(line: string) {
    writeAll(this.#access, new TextEncoder().encode(line + "\n"), this.#access.getSize());
    this.#access.flush();
  }

  [Symbol.dispose]() {
    this.#access.close();
  }
}

/**
 * The complete lines of a file.
 * @param name what messages call it.
 * @throws {ResumeError} when it is no UTF-8.
 */
export async function completeLines(file: Blob, name: string): Promise<readonly string[]> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  const text = decodeText(bytes.subarray(0, end), refusalOf(INPUTS.journal, name));
  return text.split("\n").slice(0, -1);
}
