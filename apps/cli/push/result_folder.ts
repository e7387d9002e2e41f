import { CARD_FILE } from "@lopper/card";
import { formatRatio, INPUTS, RunFolderError, VERSION } from "@lopper/core";
import { EXPORT_RECORD, exportRecordOf } from "@lopper/exports";
import { FileFolder, isFile, isThere } from "@lopper/files";
import { modelDigest, openModel } from "@lopper/models";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ownRecord } from "../shared/folder/replaceable.ts";
import { FILES, readRecord } from "../shared/folder/run_files.ts";
import { modelName } from "../shared/reporting/report_files.ts";

/** What a run knows of itself, paths of this machine included. */
const RUN_RECORDS = [FILES.record, FILES.settings, FILES.journal, FILES.report];

/** A file of a result. */
export interface ResultFile {
  /** From the folder, with slashes. */
  readonly path: string;
  readonly size: number;
}

/** A result that may be handed on. */
export interface ResultFolder {
  readonly files: readonly ResultFile[];
  /** What a commit says of it. */
  readonly message: string;
}

export interface ResultParts {
  /** Whether the records of Lopper's are wanted, too. */
  readonly withRecords: boolean;
  /** Hears of the bytes of weights that are compared with their record. */
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * The model in the folder of a finished run or of an export, and its card.
 * @throws {RunFolderError} when there is no such thing, or not what its record says.
 */
export async function resultIn(folder: string, parts: ResultParts): Promise<ResultFolder> {
  const isExport = await isThere(join(folder, EXPORT_RECORD));
  const isRun = [FILES.record, FILES.settings].map((file) => isThere(join(folder, file)));
  if (!isExport && !(await Promise.all(isRun)).includes(true)) {
    throw new RunFolderError(
      `${folder} holds no result of Lopper: neither ${FILES.record} nor ${EXPORT_RECORD} is in it`,
    );
  }
  const { paths, records, message } = isExport
    ? await exportIn(folder)
    : await runIn(folder, parts.onProgress);
  const all = [CARD_FILE, ...paths, ...parts.withRecords ? records : []];
  const files: ResultFile[] = [];
  for (const path of new Set(all)) {
    const place = join(folder, ...path.split("/"));
    if (await isFile(place)) files.push({ path, size: (await stat(place)).size });
    // A card is whoever's; without one the repository has none.
    else if (paths.includes(path) && path !== CARD_FILE) {
      throw new RunFolderError(`${place} is not there, and the record of the result lists it`);
    }
  }
  return { files, message };
}

async function exportIn(folder: string) {
  const file = join(folder, EXPORT_RECORD);
  const record = await exportRecordOf(await ownRecord(file, INPUTS.exportRecord, "lopper-export"));
  if (record === null) {
    throw new RunFolderError(`${file} is no record of an export, or was changed; export it again`);
  }
  const sizes = record.files.map(async (path) =>
    (await stat(join(folder, path)).catch(() => ({ size: 0 }))).size
  );
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  if (bytes !== record.bytes) {
    throw new RunFolderError(
      `${folder}: its files have ${bytes} bytes and had ${record.bytes} when they were written; export it again`,
    );
  }
  return {
    paths: record.files,
    records: [EXPORT_RECORD],
    message: `${record.source.name} as ${record.format}, by Lopper ${VERSION}`,
  };
}

async function runIn(folder: string, onProgress: ResultParts["onProgress"]) {
  const record = await readRecord(folder);
  using model = await openModel(new FileFolder(folder));
  if (await modelDigest(model, onProgress) !== record.prunedDigest) {
    throw new RunFolderError(
      `${folder} holds another model than its ${FILES.record} says: it was changed after the run`,
    );
  }
  const source = modelName(record.flags.model);
  return {
    paths: record.files,
    records: RUN_RECORDS,
    message: `${source} without ${
      formatRatio(record.ratio)
    } of its parameters, by Lopper ${VERSION}`,
  };
}
