import { link, mkdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { codeOf } from "../system_reason.ts";
import { writing } from "../write_error.ts";
import { writeTextFileAtomically } from "../write_text_file.ts";
import { type Download, downloadBlob, isWhole } from "./blob.ts";
import { cachedCommit, cachedRepository } from "./cache.ts";
import type { HubClient } from "./client.ts";
import { COMMIT, type HubFile, type Revision } from "./revision.ts";

/** Hears of the bytes of a download. */
export type OnBytes = (done: number, total: number) => void;

/**
 * Where a file of a revision lies in the cache, whole, be it under its own name or that of its
 * digest. What is not there is downloaded.
 * @throws {HubError} or {WriteError} as `downloadBlob`.
 */
export async function cachedFile(download: Download): Promise<string> {
  const { client, revision, file } = download;
  const named = placeOf(client, revision, file);
  if (await isWhole(named, file)) return named;
  const blob = join(cachedRepository(client.cache, revision.repository), "blobs", file.digest);
  await downloadBlob(download, blob);
  return blob;
}

/**
 * Downloads files of a revision into the cache, where other programs find them, too. Their names
 * appear there when all of them are whole, the last first.
 * @param paths of files that the revision has.
 * @returns the folder of the revision.
 * @throws {HubError} or {WriteError} as `downloadBlob`.
 */
export async function downloadFiles(
  client: HubClient,
  revision: Revision,
  paths: readonly string[],
  onBytes: OnBytes = () => {},
): Promise<string> {
  const files = paths.map((path) => revision.files.get(path)!);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const found = new Map<HubFile, string>();
  let before = 0;
  for (const file of files) {
    const onPart = (bytes: number) => onBytes(before + bytes, total);
    found.set(file, await cachedFile({ client, revision, file, onBytes: onPart }));
    onBytes(before += file.size, total);
  }
  const folder = cachedRepository(client.cache, revision.repository);
  for (const [file, place] of [...found].reverse()) {
    await giveName(place, placeOf(client, revision, file));
  }
  const { revision: name, commit } = revision;
  // A commit is its own name. A cache that nobody may write to serves as long as it has all.
  if (!COMMIT.test(name) && await cachedCommit(folder, name) !== commit) {
    await writeRef(join(folder, "refs", name), commit);
  }
  return join(folder, "snapshots", revision.commit);
}

/** How many bytes of files are not in the cache. */
export async function missingBytes(
  client: HubClient,
  revision: Revision,
  paths: readonly string[],
): Promise<number> {
  const blobs = join(cachedRepository(client.cache, revision.repository), "blobs");
  let missing = 0;
  for (const path of paths) {
    const file = revision.files.get(path)!;
    const places = [placeOf(client, revision, file), join(blobs, file.digest)];
    const there = await Promise.all(places.map((place) => isWhole(place, file)));
    if (!there.includes(true)) missing += file.size;
  }
  return missing;
}

function placeOf({ cache }: HubClient, { repository, commit }: Revision, { path }: HubFile) {
  return join(cachedRepository(cache, repository), "snapshots", commit, ...path.split("/"));
}

/** A link where the system has them, else another name of the same file, else the file itself. */
async function giveName(blob: string, path: string): Promise<void> {
  if (blob === path) return;
  await writing(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    // What is there is not whole, such as a link to nothing.
    await rm(path, { force: true });
    for (
      const give of [() => symlink(relative(dirname(path), blob), path), () => link(blob, path)]
    ) {
      try {
        return await give();
      } catch (error) {
        // Another process was faster.
        if (codeOf(error) === "EEXIST") return;
      }
    }
    await rename(blob, path);
  });
}

async function writeRef(path: string, commit: string) {
  await writing(path, () => mkdir(dirname(path), { recursive: true }));
  await writeTextFileAtomically(path, commit);
}
