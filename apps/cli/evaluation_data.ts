import { EvaluationError } from "@lopper/core";
import { DATA_SETS, dataFiles, readRows } from "@lopper/evaluation";
import { FileSource, listFilesDeep } from "@lopper/model-io/files";
import { join } from "node:path";

/** Rows of a data set, and where they were. */
export interface FoundRows {
  readonly rows: readonly unknown[];
  /** Path of the file, or of the first of several. */
  readonly file: string;
}

export interface DataOptions {
  /** Folder of data sets that the user named. */
  readonly data: string | null;
}

/**
 * The rows of a data set.
 * @throws {EvaluationError} when it is nowhere, saying where it was looked for and what to fetch.
 */
export async function dataRows(name: string, { data }: DataOptions): Promise<FoundRows> {
  const set = DATA_SETS[name];
  if (data !== null) {
    const folders = [...set.folders, set.repository, set.repository.split("/")[1]];
    for (const folder of new Set(folders)) {
      const found = dataFiles(set, await listFilesDeep(join(data, folder)));
      if (found.length > 0) return await read(found.map((path) => join(data, folder, path)));
    }
  }
  throw new EvaluationError(
    `the data set of ${name} (${set.repository} on the hub: ${set.part}) is not ${
      data === null ? "here; name a folder that has it with --data" : `in ${data}`
    }`,
  );
}

async function read(files: readonly string[]): Promise<FoundRows> {
  const rows: unknown[] = [];
  for (const file of files) {
    const source = await FileSource.open(file);
    try {
      // One by one: an evaluation set may have more rows than a call takes arguments.
      for (const row of await readRows(source)) rows.push(row);
    } finally {
      source.close();
    }
  }
  return { rows, file: files[0] };
}
