import { UsageError } from "@lopper/core";
import { INPUTS } from "@lopper/model-io";
import { FileSink } from "@lopper/model-io/files";
import { basename, dirname, join } from "node:path";
import type { ExportRecord } from "./export_record.ts";
import { entriesOfOut } from "./out_entries.ts";
import { checkNothingElse, listedFiles, ownRecord } from "./replaceable.ts";

/** The last file of an export: a folder with it is whole, and may be replaced. */
export const EXPORT_RECORD = "export.json";

/** Which exports may make room for a new one. */
export interface Replacing {
  /** Any. */
  readonly overwrite?: boolean;
  /** Those of the model that is called so. */
  readonly of?: string;
}

/** The folder of one export. It is written and verified beside its place, and appears there by a rename. */
export class ExportFolder {
  readonly path: string;
  /** Where the files are until `commit`. */
  readonly workPath: string;

  private constructor(path: string, workPath: string) {
    this.path = path;
    this.workPath = workPath;
  }

  /**
   * Begins an export, and writes nothing yet.
   * @throws {UsageError} as `checkPlace`.
   */
  static async open(path: string, options: Replacing): Promise<ExportFolder> {
    await ExportFolder.checkPlace(path, options);
    const workPath = join(dirname(path), `.${basename(path)}.partial`);
    // What an export that was killed left there counts for nothing.
    await remove(workPath);
    return new ExportFolder(path, workPath);
  }

  /** @throws {UsageError} when something stands at the path that is not to be replaced. */
  static async checkPlace(path: string, { overwrite = false, of }: Replacing): Promise<void> {
    const names = await entriesOfOut(path);
    if (names.length === 0) return;
    const record = await ExportFolder.record(path);
    const replaceable = overwrite || (of !== undefined && record?.source.name === of);
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
    const files = listedFiles(record.files) ?? [];
    await checkNothingElse(path, [...files, EXPORT_RECORD], "export");
  }

  /** What the export at a path says of itself; null where there is none. */
  static async record(path: string): Promise<ExportRecord | null> {
    const file = join(path, EXPORT_RECORD);
    return await ownRecord(file, INPUTS.exportRecord, "lopper-export") as ExportRecord | null;
  }

  /** The sink of a file by its path from the folder, with slashes. */
  async sink(file: string): Promise<FileSink> {
    const path = join(this.workPath, ...file.split("/"));
    await Deno.mkdir(dirname(path), { recursive: true });
    return await FileSink.open(path);
  }

  /** Bytes of the files that were written. */
  async bytes(files: readonly string[]): Promise<number> {
    let sum = 0;
    for (const file of files) sum += (await Deno.stat(join(this.workPath, file))).size;
    return sum;
  }

  async commit(): Promise<void> {
    const old = join(dirname(this.path), `.${basename(this.path)}.old`);
    await remove(old);
    const replaces = (await entriesOfOut(this.path)).length > 0;
    if (replaces) await Deno.rename(this.path, old);
    else await remove(this.path);
    await Deno.rename(this.workPath, this.path);
    await remove(old);
  }

  /** Removes what was written; harmless after `commit`. */
  async discard(): Promise<void> {
    await remove(this.workPath);
  }
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
