import type { ModelFolder } from "@lopper/formats";
import { join } from "node:path";
import { isThere } from "../look.ts";
import { cachedCommit, cachedRepository } from "./cache.ts";
import { HubClient } from "./client.ts";
import type { Hub } from "./hub.ts";
import { HubFolder } from "./hub_folder.ts";
import type { HubModelName } from "./model_name.ts";
import { COMMIT, revisionOn } from "./revision.ts";
import { downloadFiles, missingBytes, type OnBytes } from "./snapshot.ts";

const MAIN = "main";

/** A model of the hub on this machine. */
export interface CachedModel {
  /** Of its folder, or of the file that was named. */
  readonly path: string;
  readonly commit: string;
}

export interface ModelDownload {
  /** Which of all files in the folder are needed to open the model that the name means. */
  readonly needed: (
    folder: ModelFolder,
    paths: readonly string[],
    file: string | null,
  ) => Promise<readonly string[]>;
  /** Hears what is to be downloaded, if anything is. */
  readonly onBegin: (commit: string, bytes: number) => void;
  readonly onBytes: OnBytes;
}

/**
 * Downloads what a model is opened from into the cache, as far as it is not there.
 * @throws {HubError} when the hub cannot be reached, or has no such model, revision or file.
 * @throws what `needed` has against it.
 */
export async function downloadModel(
  hub: Hub,
  name: HubModelName,
  { needed, onBegin, onBytes }: ModelDownload,
): Promise<CachedModel> {
  const client = new HubClient(hub);
  const repository = { type: "model", name: name.repository } as const;
  const revision = await revisionOn(client, repository, name.revision ?? MAIN);
  const all = [...revision.files.keys()];
  const paths = await needed(new HubFolder(client, revision), all, name.file);
  const missing = await missingBytes(client, revision, paths);
  if (missing > 0) onBegin(revision.commit, missing);
  const folder = await downloadFiles(client, revision, paths, onBytes);
  return { path: join(folder, name.file ?? ""), commit: revision.commit };
}

/** A model as it was downloaded last; null where it was not. */
export async function cachedModel(
  cache: string,
  { repository, revision, file }: HubModelName,
): Promise<CachedModel | null> {
  const folder = cachedRepository(cache, { type: "model", name: repository });
  const named = revision ?? MAIN;
  const commit = COMMIT.test(named) ? named : await cachedCommit(folder, named);
  if (commit === null || !COMMIT.test(commit)) return null;
  const path = join(folder, "snapshots", commit, file ?? "");
  return await isThere(path) ? { path, commit } : null;
}
