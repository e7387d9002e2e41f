import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { INPUTS } from "@lopper/core";
import { readInputIfThere } from "../open_input.ts";
import { codeOf } from "../system_reason.ts";
import type { Repository } from "./hub.ts";

/**
 * The folder in which programs of Hugging Face keep what they downloaded: HF_HUB_CACHE, else `hub`
 * in HF_HOME, else in ~/.cache/huggingface (huggingface_hub, "Environment variables").
 */
export function hubCacheFolder(variable: (name: string) => string | undefined, home: string) {
  const of = (name: string) => variable(name) || undefined;
  const caches = of("XDG_CACHE_HOME") ?? join(home, ".cache");
  return of("HF_HUB_CACHE") ?? of("HUGGINGFACE_HUB_CACHE") ??
    join(of("HF_HOME") ?? join(caches, "huggingface"), "hub");
}

/** The folder of a repository in the cache; slashes of its name are written as two hyphens. */
export function cachedRepository(cache: string, { type, name }: Repository): string {
  return join(cache, `${type}s--${name.replaceAll("/", "--")}`);
}

/** Whether a folder is that of a data set in a cache, of which each revision has all files anew. */
export function isCachedDataSet(folder: string): boolean {
  return /^datasets--[^/]+--[^/]+$/.test(basename(folder));
}

/**
 * The commit at which a revision was when it was downloaded; null where it was not.
 * @param folder as `cachedRepository` names it.
 * @param revision a branch or a tag.
 */
export async function cachedCommit(folder: string, revision: string): Promise<string | null> {
  const text = await readInputIfThere(join(folder, "refs", revision), INPUTS.revision);
  return text?.trim() ?? null;
}

/**
 * The folders of a repository's revisions in the cache, that of the branch main first; none where
 * it was never downloaded.
 * @param folder as `cachedRepository` names it.
 */
export async function cachedSnapshots(folder: string): Promise<readonly string[]> {
  const main = await cachedCommit(folder, "main");
  const revisions: string[] = [];
  try {
    const found = await readdir(join(folder, "snapshots"), { withFileTypes: true });
    for (const entry of found) if (entry.isDirectory()) revisions.push(entry.name);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  const first = (name: string) => name === main ? 0 : 1;
  return revisions.sort((a, b) => first(a) - first(b) || (a < b ? -1 : 1))
    .map((name) => join(folder, "snapshots", name));
}
