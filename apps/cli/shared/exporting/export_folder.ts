import { UsageError } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import { FileFolder, type FileSink, type FolderLock } from "@lopper/files";
import {
  EXPORT_RECORD,
  type ExportRecord,
  exportRecordOf,
  type ExportStore,
} from "@lopper/exports";
import { join } from "node:path";
import { NextResult } from "../folder/next_result.ts";
import { entriesOfOut } from "../folder/out_entries.ts";
import { lockFolder } from "../folder/own_folder.ts";
import { checkNothingElse, filesOf, ownRecord } from "../folder/replaceable.ts";

/** Which exports may make room for a new one. */
export interface Replacing {
  /** Any. */
  readonly overwrite?: boolean;
  /** Those of the model that is called so. */
  readonly of?: string;
}

/**
 * The folder of one export. Its files are written and verified in a folder within, and appear when
 * all of them are.
 */
export class ExportFolder implements ExportStore, AsyncDisposable {
  readonly path: string;
  readonly #next: NextResult;
  readonly #lock: FolderLock;
  #settling = false;

  private constructor(path: string, lock: FolderLock) {
    this.path = path;
    this.#next = new NextResult(path);
    this.#lock = lock;
  }

  /**
   * Begins an export, and writes nothing yet. Whoever opens it disposes of it in the end.
   * @param warn hears that nothing keeps others out.
   * @throws {UsageError} as `checkPlace`.
   * @throws {FolderBusyError} when another process works there.
   */
  static async open(
    path: string,
    options: Replacing,
    warn: (message: string) => void,
  ): Promise<ExportFolder> {
    const folder = new ExportFolder(path, await lockFolder(path, warn));
    try {
      await ExportFolder.checkPlace(path, options);
      // What an export that was killed left there counts for nothing.
      await folder.#next.clear();
      return folder;
    } catch (error) {
      await folder.#lock.release();
      throw error;
    }
  }

  /** @throws {UsageError} when something stands at the path that is not to be replaced. */
  static async checkPlace(path: string, { overwrite = false, of }: Replacing): Promise<void> {
    const names = await entriesOfOut(path);
    if (names.length === 0) return;
    const record = await ExportFolder.#found(path);
    const source = record?.source as { readonly name?: unknown } | null | undefined;
    const replaceable = overwrite || (of !== undefined && source?.name === of);
    if (!replaceable) {
      throw new UsageError(
        `${path} is not empty; choose another --out, or pass --overwrite to replace an export`,
      );
    }
    if (!record) {
      throw new UsageError(
        `${path} holds no ${EXPORT_RECORD}, so it is no export, and --overwrite does not replace it`,
      );
    }
    const files = await filesOf(record) ?? [];
    await checkNothingElse(path, [...files, EXPORT_RECORD], "export");
  }

  /**
   * What the export at a path says of itself; null where there is none, or something of it was
   * changed.
   */
  static async record(path: string): Promise<ExportRecord | null> {
    return await exportRecordOf(await ExportFolder.#found(path));
  }

  /**
   * The record as it is there, by this version or another: whose export it is, it says in any case.
   */
  static #found(path: string) {
    return ownRecord(join(path, EXPORT_RECORD), INPUTS.exportRecord, "lopper-export");
  }

  /** What was written, where it is until `commit`. */
  reopen(): FileFolder {
    return new FileFolder(this.#next.path);
  }

  /** The sink of a file by its path from the folder, with slashes. */
  sink(file: string): Promise<FileSink> {
    return this.#next.sink(file);
  }

  async commit(): Promise<void> {
    // From here on the next command finishes what is cut off.
    this.#settling = true;
    await this.#next.settle();
  }

  /** Removes what was written and not put in its place, and gives the folder back. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (!this.#settling) await this.#next.clear();
    } finally {
      await this.#lock.release();
    }
  }
}
