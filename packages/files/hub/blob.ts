import { plural, WriteError } from "@lopper/core";
import type { Hash } from "node:crypto";
import { mkdir, rm, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { LockFile, thisProcess } from "../lock_file.ts";
import { PartialFile } from "../partial_file.ts";
import { writing } from "../write_error.ts";
import { ATTEMPTS, type HubClient } from "./client.ts";
import { beginDigest } from "./digest.ts";
import { hubError } from "./refusal.ts";
import type { Repository } from "./hub.ts";
import type { HubFile, Revision } from "./revision.ts";
import { CutError, timely } from "./timely.ts";

/** Seconds between two looks at what another process downloads. */
const LOOK = 0.5;

/** A file of a revision that is to be downloaded. */
export interface Download {
  readonly client: HubClient;
  readonly revision: Revision;
  readonly file: HubFile;
  /** Hears how many bytes are there. */
  readonly onBytes: (bytes: number) => void;
}

/** Whether a file is there: only a whole one ever gets its name. */
export async function isWhole(path: string, { size }: HubFile): Promise<boolean> {
  return await stat(path).then((found) => found.isFile() && found.size === size, () => false);
}

/**
 * Downloads a file to a place, from where an earlier attempt was cut off. While another process
 * downloads it, that is waited for.
 * @throws {HubError} when the hub has it no more, or gives something else than it lists.
 * @throws {WriteError} when it cannot be written.
 */
export async function downloadBlob(download: Download, path: string): Promise<void> {
  const { client, file, onBytes } = download;
  const [partial, lock] = [`${path}.lopper-partial`, `${path}.lopper-lock`];
  await writing(path, () => mkdir(dirname(path), { recursive: true }));
  while (!await isWhole(path, file)) {
    const taken = takeLock(lock, path);
    if (taken === "held") {
      onBytes(await stat(partial).then(({ size }) => size, () => 0));
      await client.pause(1, LOOK);
    } else if (taken === "torn") {
      await unlink(lock).catch(() => {});
    } else if (taken === "no locks") {
      // Nobody else writes to this one, and nobody goes on with it.
      const own = `${path}.${process.pid}.lopper-partial`;
      await downloadTo(download, own, path).finally(() => rm(own, { force: true }));
    } else {
      try {
        if (!await isWhole(path, file)) await downloadTo(download, partial, path);
      } finally {
        // While it is held, nobody takes what is removed for theirs.
        await unlink(lock).catch(() => {});
        taken.release();
      }
    }
  }
}

function takeLock(lock: string, path: string) {
  try {
    return LockFile.take(lock, thisProcess());
  } catch (error) {
    throw new WriteError(path, (error as Error).message, { cause: error });
  }
}

async function downloadTo(download: Download, place: string, path: string): Promise<void> {
  const partial = await PartialFile.open(place);
  try {
    await fill(download, partial);
    await partial.commit(path);
  } finally {
    await partial.close();
  }
}

/** Fills a file until it is what the hub lists. What is not that is forgotten. */
async function fill(download: Download, partial: PartialFile): Promise<void> {
  const { file } = download;
  if (partial.size > file.size) await partial.clear();
  const isOld = partial.size > 0;
  const found = await receive(download, partial);
  if (found === file.digest) return;
  await partial.clear();
  // What an earlier process left may have been damaged.
  if (isOld && await receive(download, partial) === file.digest) return;
  await partial.clear();
  throw problem(
    download,
    `it lists the digest ${file.digest} and gives ${found}; nothing of that was kept`,
  );
}

/** Receives what is missing, and gives the digest of all. */
async function receive(download: Download, partial: PartialFile): Promise<string> {
  const { client, file } = download;
  let hash = await hashOf(partial, file);
  let most = partial.size;
  for (let fruitless = 0; partial.size < file.size;) {
    const response = await answer(download, partial.size);
    // Whatever part of it was asked for, this is the whole file.
    if (response.status !== 206 && partial.size > 0) {
      await partial.clear();
      hash = await hashOf(partial, file);
    }
    const why = await pour(download, response, partial, hash);
    if (partial.size === file.size) break;
    fruitless = partial.size > most ? 0 : fruitless + 1;
    most = Math.max(most, partial.size);
    if (fruitless === ATTEMPTS) {
      throw problem(
        download,
        `${partial.size} of ${plural(file.size, "byte")} came, and then ${why}`,
      );
    }
    await client.pause(fruitless + 1);
  }
  return hash.digest("hex");
}

/** Asks for a file from a byte on. @throws {HubError} when the answer is of another size. */
async function answer(download: Download, from: number): Promise<Response> {
  const { client, revision: { repository, revision, commit }, file } = download;
  const asked = { repository, revision, path: file.path };
  const response = await client.open(asked, pathOnHub(repository, commit, file.path), from);
  const { status, headers } = response;
  const length = headers.has("content-encoding") ? null : headers.get("content-length");
  const begins = status === 206 ? from : 0;
  const isPart = status !== 206 || headers.get("content-range")?.startsWith(`bytes ${from}-`);
  if (isPart && (length === null || Number(length) === file.size - begins)) return response;
  await response.body?.cancel();
  throw problem(
    download,
    `it lists ${plural(file.size, "byte")} and gives ${length ?? "another part"}`,
  );
}

/** Takes what comes; says why it ended. @throws {HubError} when there is more than is listed. */
async function pour(
  download: Download,
  response: Response,
  partial: PartialFile,
  hash: Hash,
): Promise<string> {
  const { client, file, onBytes } = download;
  try {
    for await (const bytes of timely(response.body ?? new Blob().stream(), client.silence)) {
      if (partial.size + bytes.byteLength > file.size) {
        await partial.clear();
        throw problem(download, `it lists ${plural(file.size, "byte")} and gives more`);
      }
      await partial.append(bytes);
      hash.update(bytes);
      onBytes(partial.size);
    }
    return "it ended";
  } catch (error) {
    if (!(error instanceof CutError)) throw error;
    return error.message;
  }
}

/** The digest of what is there. */
async function hashOf(partial: PartialFile, file: HubFile): Promise<Hash> {
  const hash = beginDigest(file);
  for await (const bytes of partial.parts()) hash.update(bytes);
  return hash;
}

function pathOnHub({ type, name }: Repository, commit: string, path: string): string {
  const folder = type === "model" ? "" : `${type}s/`;
  return `/${folder}${name}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

function problem({ client, revision: { repository, revision }, file }: Download, reason: string) {
  const asked = { repository, revision, path: file.path };
  return hubError(asked, client.endpoint, reason);
}
