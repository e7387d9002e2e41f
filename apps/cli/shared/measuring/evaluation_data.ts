import { EvaluationError, HubError } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import {
  DATA_SETS,
  dataFiles,
  type DataRows,
  MAX_DATA_BYTES,
  readRows,
  type RowOptions,
} from "@lopper/evaluation";
import {
  cachedRepository,
  cachedSnapshots,
  downloadDataSet,
  listFilesDeep,
  openInput,
} from "@lopper/files";
import { join } from "node:path";
import type { UserHub } from "../inputs/hub.ts";

/** Rows of a data set, and where they were. */
export interface FoundRows extends DataRows {
  /** Path of the file, or of the first of several. */
  readonly file: string;
}

export interface DataOptions {
  /** Folder of data sets that the user named. */
  readonly data: string | null;
  readonly hub: UserHub;
  /** Hears of the bytes of a download. */
  readonly onDownload: (what: string, done: number, total: number) => void;
}

/**
 * The rows of a data set: from the folder that the user named, else from the cache of Hugging Face,
 * else from the hub.
 * @throws {EvaluationError} when it is nowhere, saying where it was looked for and what to fetch.
 */
export async function dataRows(
  name: string,
  options: DataOptions,
  asked: Required<RowOptions>,
): Promise<FoundRows> {
  const { data, hub: { cache, hub }, onDownload } = options;
  const set = DATA_SETS[name];
  for await (const folder of localFolders(name, options)) {
    const found = dataFiles(set, await listFilesDeep(folder));
    if (found.length > 0) return await readFiles(found.map((path) => join(folder, path)), asked);
  }
  const places = [
    ...data === null ? [] : [`in ${data}`],
    `in the cache of Hugging Face (${cache})`,
  ];
  const missing = (why: string, cause?: Error) =>
    new EvaluationError(
      `the data set of ${name} (${set.repository} on the hub: ${set.part}) is not ${
        places.join(" or ")
      }, and ${why}; --data names a folder that has it`,
      { cause },
    );
  if (hub === null) throw missing("nothing is to be downloaded (--offline)");
  try {
    const { folder, files } = await downloadDataSet(
      hub,
      set.repository,
      (paths) => dataFiles(set, paths),
      {
        maxBytes: MAX_DATA_BYTES,
        onProgress: (done, total) => onDownload(`downloading ${name}`, done, total),
      },
    );
    return await readFiles(files.map((path) => join(folder, path)), asked);
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    throw missing(error.message, error);
  }
}

async function* localFolders(name: string, { data, hub: { cache } }: DataOptions) {
  const { folders, repository } = DATA_SETS[name];
  if (data !== null) {
    const names = [...folders, repository, repository.split("/")[1]];
    for (const folder of new Set(names)) yield join(data, folder);
  }
  yield* await cachedSnapshots(cachedRepository(cache, { type: "dataset", name: repository }));
}

/** The rows of files one after the other. */
export async function readFiles(
  files: readonly string[],
  { limit, maxBytes }: Required<RowOptions>,
): Promise<FoundRows> {
  const rows: unknown[] = [];
  let [available, bytes] = [0, 0];
  for (const file of files) {
    const source = await openInput(file, INPUTS.dataSet);
    try {
      const found = await readRows(source, {
        limit: limit - rows.length,
        maxBytes: maxBytes - bytes,
      });
      // One by one: an evaluation set may have more rows than a call takes arguments.
      for (const row of found.rows) rows.push(row);
      available += found.available;
      bytes += found.bytes;
    } finally {
      source.close();
    }
  }
  return { rows, available, bytes, file: files[0] };
}
