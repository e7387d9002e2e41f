import { hasRoom } from "@lopper/browser";
import { folderIn, removeEntry } from "@lopper/browser/handles";
import type { Model } from "@lopper/models";
import type { About } from "./about.ts";
import { StorageError } from "./explain.ts";
import { withRun } from "./locks.ts";
import { folderOf, titleOf } from "./look.ts";
import { neededFiles } from "./needed_files.ts";
import { openRun } from "./open_run.ts";
import { runsFolder } from "./places.ts";
import type { PruneTold, Result, Tasks } from "./protocol.ts";
import { finish } from "./prune.ts";
import { resultOf } from "./result.ts";
import { keepRun, StoredRun } from "./runs.ts";

/**
 * Begins a run: checks that it can be made here, keeps in the browser's storage what it needs to go
 * on, and makes it.
 * @throws {UnreachableTargetError} when so much cannot go.
 * @throws {InsufficientMemoryError} when the model does not fit into memory.
 * @throws {StorageError} when there is no room for it.
 */
export async function begin(
  { source, text, asked }: Tasks["begin"]["given"],
  tell: (told: PruneTold) => void,
): Promise<Result> {
  const about: About = {
    kind: "lopper-web-run",
    title: titleOf(source),
    isEmbedded: source.kind === "embedded",
    text: text && text.name,
    asked,
    begun: new Date().toISOString(),
  };
  const read = new Set<string>();
  const folder = await folderOf(source, (path) => read.add(path));
  await using opened = await openRun(folder, about, text, { settings: null });
  const files = source.kind === "embedded" ? NONE : neededFiles(source.files, read);
  const id = crypto.randomUUID();
  return await withRun(id, async () => {
    await checkStorage(id, files, opened.model);
    // The browser may clear what it was not asked to keep.
    await navigator.storage.persist?.();
    await keepRun(
      id,
      { about, files, text },
      (done, total) => tell({ type: "progress", phase: "copying the model", done, total }),
    );
    const run = await StoredRun.open(id);
    using store = await run.store();
    await finish(opened, store, tell);
    return await resultOf(run, store);
  });
}

const NONE: ReadonlyMap<string, Blob> = new Map();

/**
 * Browsers tell pages of a round number of bytes that they give; whether they do is seen when one
 * asks for them.
 * @throws {StorageError} when the model and its result have no room.
 */
async function checkStorage(
  id: string,
  files: ReadonlyMap<string, Blob>,
  { weightBytes }: Model,
) {
  const needed = [...files.values()].reduce((sum, { size }) => sum + size, weightBytes);
  const runs = await runsFolder();
  if (await hasRoom(await folderIn(runs, [id]), needed)) return;
  await removeEntry(runs, id);
  throw new StorageError(needed);
}
