import { describeIssue, LopperError, shown } from "@lopper/core";
import { z } from "zod";
import type { HubClient } from "./client.ts";
import type { Asked, Repository } from "./hub.ts";
import { hubError } from "./refusal.ts";

/** A file as a hub lists it. */
export interface HubFile {
  /** From the repository, with slashes. */
  readonly path: string;
  readonly size: number;
  /** SHA-256 of its bytes where they are stored apart (LFS), else git's SHA-1 of a blob. */
  readonly digest: string;
}

/** What a repository holds at a commit, which never changes. */
export interface Revision {
  readonly repository: Repository;
  /** As it was asked for: a branch, a tag or a commit. */
  readonly revision: string;
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
}

/** The name of a commit, which becomes the name of a folder. */
export const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

const hexadecimal = z.string().regex(/^[0-9a-f]+$/);
const entrySchema = z.looseObject({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative(),
  oid: hexadecimal.length(40),
  lfs: z.looseObject({ oid: hexadecimal.length(64), size: z.int().nonnegative() }).nullish(),
});

/**
 * What a repository holds now, by the name of a branch, a tag or a commit.
 * @throws {HubError} when the hub cannot be reached, has nothing of that name, or lists what no
 *   repository holds.
 */
export async function revisionOn(
  client: HubClient,
  repository: Repository,
  revision: string,
): Promise<Revision> {
  // Few runs need it.
  const { listFiles } = await import("@huggingface/hub");
  const asked = { repository, revision };
  const commit = await understood(client, asked, () => commitOf(client, repository, revision));
  const files = new Map<string, HubFile>();
  await understood(client, asked, async () => {
    // By the commit: a branch may move between two pages.
    const listed = { repo: repository, revision: commit, recursive: true };
    for await (const entry of listFiles({ ...client.access(asked), ...listed })) {
      if (entry.type !== "file") continue;
      const file = checkedFile(entry, client, asked);
      files.set(file.path, file);
    }
  });
  return { repository, revision, commit, files };
}

async function commitOf(
  client: HubClient,
  repository: Repository,
  revision: string,
): Promise<string> {
  const { datasetInfo, modelInfo } = await import("@huggingface/hub");
  const asked = { repository, revision };
  const about = { ...client.access(asked), name: repository.name, revision };
  const { sha } = repository.type === "model"
    ? await modelInfo({ ...about, additionalFields: ["sha"] })
    : await datasetInfo({ ...about, additionalFields: ["sha"] });
  if (typeof sha === "string" && COMMIT.test(sha)) return sha;
  throw hubError(asked, client.endpoint, `it says that this is the commit ${shown(sha)}`);
}

/**
 * @throws {HubError} when an entry is no file of a repository, or would lie outside of its folder.
 */
function checkedFile(entry: unknown, { endpoint }: HubClient, asked: Asked): HubFile {
  const { data, error } = entrySchema.safeParse(entry);
  if (!data) {
    const problem = describeIssue(error.issues);
    throw hubError(asked, endpoint, `what it lists is not understood: ${problem}`);
  }
  const { path, size, oid, lfs } = data;
  if (staysWithin(path)) return { path, size: lfs?.size ?? size, digest: lfs?.oid ?? oid };
  const reason = `it lists ${shown(path)}, which leads out of its folder; nothing is downloaded`;
  throw hubError(asked, endpoint, reason);
}

/** Whether a path or a name of a revision leads below a folder, on any system. */
export function staysWithin(path: string): boolean {
  return path.split("/").every((part) =>
    !/^[a-z]:|[\\\0]/i.test(part) && part !== "" && part !== "." && part !== ".."
  );
}

/**
 * Runs a function of the hub's package; whatever it does not understand was not the hub's answer.
 */
export async function understood<T>(
  { endpoint }: HubClient,
  asked: Asked,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const isStopped = error instanceof Error && error.name === "AbortError";
    if (error instanceof LopperError || isStopped) throw error;
    const found = error instanceof Error ? error.message : String(error);
    const reason = `what answers there is no hub (${found}); HF_ENDPOINT says where it is`;
    throw hubError(asked, endpoint, reason, null, { cause: error });
  }
}
