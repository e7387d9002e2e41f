import { HubError, ReadError, WriteError } from "@lopper/core";
import { cachedDataSet } from "./hub_cache.ts";
import { FileSink } from "./file_sink.ts";
import { writing } from "./write_error.ts";
import { writeTextFileAtomically } from "./write_text_file.ts";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Where data sets are downloaded from, and to. */
export interface Hub {
  /** Address without a slash at the end. */
  readonly endpoint: string;
  /** What opens data sets that are not for everyone. */
  readonly token: string | null;
  /** Folder of the cache. */
  readonly cache: string;
  readonly fetch?: typeof fetch;
}

export interface DownloadOptions {
  /** Bytes that the chosen files may have together. */
  readonly maxBytes: number;
  /** Hears of bytes. */
  readonly onProgress?: (done: number, total: number) => void;
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
/** What names a revision becomes the name of a folder. */
const COMMIT = /^[0-9a-f]{40,64}$/;

/**
 * Downloads chosen files of a data set into the cache, where other programs find them, too. A file
 * appears there whole or not at all.
 * @param choose of all paths those that are needed; none when this branch does not have them.
 * @throws {HubError} when the hub cannot be reached, has no such data set or files, or they are too
 *   large.
 */
export async function downloadDataSet(
  hub: Hub,
  repository: string,
  choose: (paths: readonly string[]) => readonly string[],
  options: DownloadOptions,
): Promise<CachedFiles> {
  // Few runs need it.
  const { downloadFile } = await import("@huggingface/hub");
  const repo = { type: "dataset", name: repository } as const;
  for (const branch of BRANCHES) {
    const found = await filesOf(hub, repository, branch);
    if (found === null) continue;
    const { sha, sizes } = found;
    const chosen = choose([...sizes.keys()].filter(staysWithin));
    if (chosen.length === 0) continue;
    const total = chosen.reduce((sum, path) => sum + sizes.get(path)!, 0);
    checkSize(total, options.maxBytes, repository);
    const folder = join(cachedDataSet(hub.cache, repository), "snapshots", sha);
    let before = 0;
    for (const path of chosen) {
      await asking(hub, `${repository}, ${path}`, async () => {
        const blob = await downloadFile({ ...accessTo(hub), repo, path, revision: sha });
        if (blob === null) throw new HubError(`${repository} has no ${path} any more`);
        checkSize(before + blob.size, options.maxBytes, repository);
        await writeStream(join(folder, path), blob, (bytes) => {
          options.onProgress?.(before + bytes, total);
        });
        before += blob.size;
      });
    }
    await writeFile(join(cachedDataSet(hub.cache, repository), "refs", branch), sha);
    return { folder, files: chosen };
  }
  throw new HubError(`${repository} on ${hub.endpoint} does not have the files that are needed`);
}

/**
 * The commit of a branch, and its files with their bytes; null for a branch that only some data
 * sets have.
 */
async function filesOf(hub: Hub, repository: string, branch: string) {
  const { datasetInfo, listFiles } = await import("@huggingface/hub");
  const access = accessTo(hub);
  const repo = { type: "dataset", name: repository } as const;
  try {
    return await asking(hub, repository, async () => {
      const { sha } = await datasetInfo({
        ...access,
        name: repository,
        revision: branch,
        additionalFields: ["sha"],
      });
      if (!COMMIT.test(sha)) {
        throw new HubError(`${hub.endpoint} says that ${repository} is at ${JSON.stringify(sha)}`);
      }
      const sizes = new Map<string, number>();
      const files = listFiles({ ...access, repo, revision: sha, recursive: true });
      for await (const { type, path, size } of files) if (type === "file") sizes.set(path, size);
      return { sha, sizes };
    });
  } catch (error) {
    if (branch !== BRANCHES[0] && error instanceof HubError && error.status === 404) return null;
    throw error;
  }
}

function accessTo(hub: Hub) {
  return {
    hubUrl: hub.endpoint,
    fetch: hub.fetch ?? fetch,
    ...hub.token !== null && { accessToken: hub.token },
  };
}

/** Says of what asks the hub what went wrong. */
async function asking<T>({ endpoint, token }: Hub, what: string, ask: () => Promise<T>) {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof HubError || isOfDisk(error)) throw error;
    const status = error instanceof Error && "statusCode" in error
      ? Number(error.statusCode)
      : null;
    const reason = status === null
      // What fetch throws without a network says which part of the way is missing.
      ? `it cannot be reached (${error instanceof Error ? error.message : String(error)})`
      : status === 401 || status === 403
      ? `it refuses that (${status}); ${
        token === null
          ? "HF_TOKEN may hold what opens it"
          : "the token of HF_TOKEN does not open it"
      }`
      : `it answers ${status}`;
    throw new HubError(`${what} was looked for on ${endpoint}: ${reason}`, status, {
      cause: error,
    });
  }
}

/** The user's own machine says no; that is not the hub's fault. */
function isOfDisk(error: unknown): boolean {
  return error instanceof WriteError || error instanceof ReadError;
}

/** A path from the hub that names a file below its folder, and nothing else. */
function staysWithin(path: string): boolean {
  return !path.includes("\\") &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function checkSize(bytes: number, maxBytes: number, repository: string) {
  if (bytes <= maxBytes) return;
  throw new HubError(
    `${repository}: the files have ${bytes} bytes and an evaluation set ${maxBytes} at most`,
  );
}

async function writeStream(path: string, blob: Blob, onBytes: (bytes: number) => void) {
  await writing(path, () => mkdir(dirname(path), { recursive: true }));
  const sink = await FileSink.open(path);
  let bytes = 0;
  try {
    for await (const part of blob.stream()) {
      await sink.write(part);
      onBytes(bytes += part.byteLength);
    }
    if (bytes !== blob.size) {
      throw new HubError(`${path}: ${bytes} of ${blob.size} bytes came from the hub`);
    }
    await sink.commit();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

async function writeFile(path: string, text: string) {
  await writing(path, () => mkdir(dirname(path), { recursive: true }));
  await writeTextFileAtomically(path, text);
}
