import { formatBytes, HubError } from "@lopper/core";
import { HubClient } from "./client.ts";
import type { Hub } from "./hub.ts";
import { type Revision, revisionOn } from "./revision.ts";
import { downloadFiles, type OnBytes } from "./snapshot.ts";

export interface DownloadOptions {
  /** Bytes that the chosen files may have together. */
  readonly maxBytes: number;
  readonly onProgress?: OnBytes;
}

/** Files of a data set in the cache. */
export interface CachedFiles {
  /** Folder of the revision. */
  readonly folder: string;
  /** From there, with slashes. */
  readonly files: readonly string[];
}

/** The branch of its publisher, and the one on which the hub converts every data set to Parquet. */
const BRANCHES = ["main", "refs/convert/parquet"];

/**
 * Downloads chosen files of a data set into the cache, where other programs find them, too.
 * @param choose of all paths those that are needed; none when this branch does not have them.
 * @throws {HubError} when the hub cannot be reached, has no such data set or files, or they are too
 *   large.
 */
export async function downloadDataSet(
  hub: Hub,
  repository: string,
  choose: (paths: readonly string[]) => readonly string[],
  { maxBytes, onProgress }: DownloadOptions,
): Promise<CachedFiles> {
  const client = new HubClient(hub);
  for (const branch of BRANCHES) {
    const revision = await revisionOrNull(client, repository, branch);
    const files = revision && choose([...revision.files.keys()]);
    if (!files || files.length === 0) continue;
    const bytes = files.reduce((sum, path) => sum + revision.files.get(path)!.size, 0);
    if (bytes > maxBytes) {
      throw new HubError(
        `${repository}: the files have ${formatBytes(bytes)} and an evaluation set ${
          formatBytes(maxBytes)
        } at most`,
      );
    }
    return { folder: await downloadFiles(client, revision, files, onProgress), files };
  }
  throw new HubError(`${repository} on ${hub.endpoint} does not have the files that are needed`);
}

/** A branch as it is now; null for one that only some data sets have. */
async function revisionOrNull(
  client: HubClient,
  name: string,
  branch: string,
): Promise<Revision | null> {
  try {
    return await revisionOn(client, { type: "dataset", name }, branch);
  } catch (error) {
    if (branch !== BRANCHES[0] && error instanceof HubError && error.status === 404) return null;
    throw error;
  }
}
