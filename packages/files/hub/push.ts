import { HubError } from "@lopper/core";
import { HubClient } from "./client.ts";
import { beginDigest } from "./digest.ts";
import type { Asked, Hub } from "./hub.ts";
import { LocalBlob } from "./local_blob.ts";
import { hubError } from "./refusal.ts";
import { type HubFile, type Revision, revisionOn, understood } from "./revision.ts";

const MAIN = "main";
/** The hub's own file of every repository: which names are of large files. */
const ATTRIBUTES = ".gitattributes";

/** A file of this machine that is to be one of a repository. */
export interface PushedFile {
  /** From the repository, with slashes. */
  readonly path: string;
  /** Where it is here. */
  readonly place: string;
  readonly size: number;
}

export interface Push {
  /** `owner/name`. */
  readonly name: string;
  readonly branch: string;
  /** What the commit says. */
  readonly message: string;
  /** Of a repository that is made for it. */
  readonly isPrivate: boolean;
  readonly files: readonly PushedFile[];
}

export interface PushTools {
  /** Hears what is made on the hub before anything is sent. */
  readonly onNew: (what: "repository" | "branch") => void;
  /** Hears what the repository holds besides, and keeps. */
  readonly onOthers: (paths: readonly string[]) => void;
  readonly onBytes: (phase: "reading" | "sending", done: number, total: number) => void;
}

export interface Pushed {
  readonly commit: string;
  readonly url: string;
  /** Paths that the commit holds; none where the hub had everything already. */
  readonly sent: readonly string[];
}

/**
 * Puts files into a repository of models, in one commit, and looks whether they are there. What is
 * there already is not sent; a repository or a branch that is not there is made.
 * @throws {HubError} when the hub cannot be reached, refuses, or holds something else afterwards.
 */
export async function pushModel(hub: Hub, push: Push, tools: PushTools): Promise<Pushed> {
  const client = new HubClient(hub);
  const before = await placeOnHub(client, push, tools);
  const paths = new Set([ATTRIBUTES, ...push.files.map(({ path }) => path)]);
  const others = [...before.files.keys()].filter((path) => !paths.has(path));
  if (others.length > 0) tools.onOthers(others);
  const missing: PushedFile[] = [];
  for (const file of push.files) {
    if (!await isThere(file, before.files.get(file.path))) missing.push(file);
  }
  const url = `${hub.endpoint}/${push.name}`;
  if (missing.length === 0) return { commit: before.commit, url, sent: [] };
  const commit = await commitFiles(client, { ...push, files: missing }, before, tools);
  const after = await revisionOn(client, before.repository, commit);
  for (const file of missing) {
    if (await isThere(file, after.files.get(file.path))) continue;
    const asked = { repository: before.repository, revision: commit, path: file.path };
    throw hubError(asked, hub.endpoint, "it holds other bytes than were sent");
  }
  return { commit, url, sent: missing.map(({ path }) => path) };
}

/** What the branch holds now; it is made where it is not there, and so is the repository. */
async function placeOnHub(client: HubClient, push: Push, { onNew }: PushTools): Promise<Revision> {
  const { createBranch, createRepo } = await import("@huggingface/hub");
  const { name, branch, isPrivate } = push;
  const repo = { type: "model", name } as const;
  const asked: Asked = { repository: repo, isWritten: true };
  const found = await orNull(() => revisionOn(client, repo, MAIN));
  if (found === null) {
    onNew("repository");
    const access = client.accessToWrite(asked);
    const visibility = isPrivate ? "private" : "public";
    await understood(client, asked, () => createRepo({ ...access, repo, visibility }));
  }
  if (branch === MAIN) return found ?? await revisionOn(client, repo, MAIN);
  const other = await orNull(() => revisionOn(client, repo, branch));
  if (other !== null) return other;
  onNew("branch");
  const access = client.accessToWrite(asked);
  await understood(client, asked, () => createBranch({ ...access, repo, branch }));
  return await revisionOn(client, repo, branch);
}

/** What is looked for; null where the hub says that it has no such thing. */
async function orNull(look: () => Promise<Revision>): Promise<Revision | null> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof HubError && error.status === 404) return null;
    throw error;
  }
}

/** Whether a hub lists a file as it is here. */
async function isThere({ place, size }: PushedFile, listed: HubFile | undefined): Promise<boolean> {
  if (listed === undefined || listed.size !== size) return false;
  const hash = beginDigest(listed);
  for await (const bytes of new LocalBlob(place, { end: size }).stream()) hash.update(bytes);
  return hash.digest("hex") === listed.digest;
}

/** One commit on what the branch held before; gives its name. */
async function commitFiles(
  client: HubClient,
  { branch, message, files }: Push,
  before: Revision,
  { onBytes }: PushTools,
): Promise<string> {
  const { commitIter } = await import("@huggingface/hub");
  const asked: Asked = { repository: before.repository, isWritten: true };
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const isRead = new Set<string>();
  const bytes = { reading: 0, sending: 0 };
  const content = ({ path, place, size }: PushedFile) =>
    new LocalBlob(place, { end: size }, (read) => {
      // Its digest is taken first.
      const phase = isRead.has(path) ? "sending" : "reading";
      bytes[phase] = Math.min(total, bytes[phase] + read);
      onBytes(phase, bytes[phase], total);
    });
  return await understood(client, asked, async () => {
    const events = commitIter({
      ...client.accessToWrite(asked),
      repo: before.repository,
      branch,
      title: message,
      parentCommit: before.commit,
      // By the interface that every hub has.
      useXet: false,
      operations: files.map((file) => ({
        operation: "addOrUpdate",
        path: file.path,
        content: content(file),
      })),
    });
    let next = await events.next();
    for (; !next.done; next = await events.next()) {
      const { value } = next;
      const isDone = value.event === "fileProgress" && value.progress === 1;
      if (isDone && value.state === "hashing") isRead.add(value.path);
    }
    return next.value!.commit.oid;
  });
}
