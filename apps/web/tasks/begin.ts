import { hasRoom } from "@lopper/browser";
import { fateOf, type Model } from "@lopper/models";
import type { About } from "./about.ts";
import { StorageError } from "./explain.ts";
import { withRun } from "./locks.ts";
import { folderOf, titleOf } from "./look.ts";
import { openRun } from "./open_run.ts";
import { runsFolder } from "./places.ts";
import type { PruneTold, Result, Tasks } from "./protocol.ts";
import { finish } from "./prune.ts";
import { resultOf } from "./result.ts";
import { keepRun, type NewRun, StoredRun } from "./runs.ts";

/**
 * Begins a run: checks that it can be made here, keeps in the browser's storage what it needs to go on, and makes it.
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
  const files = source.kind === "embedded" ? new Map<string, Blob>() : neededOf(source.files);
  await using opened = await openRun(await folderOf(source), about, text, { settings: null });
  await checkStorage([...files.values()], opened.model);
  const id = crypto.randomUUID();
  return await withRun(id, async () => {
    await keep(id, { about, files, text }, tell);
    const run = await StoredRun.open(id);
    using store = await run.store();
    await finish(opened, store, tell);
    return await resultOf(run, store);
  });
}

async function keep(id: string, run: NewRun, tell: (told: PruneTold) => void) {
  // The browser may clear what it was not asked to keep.
  await navigator.storage.persist?.();
  await keepRun(
    id,
    run,
    (done, total) => tell({ type: "progress", phase: "copying the model", done, total }),
  );
}

/** Files that are read or handed on; what is passed over takes no room. */
function neededOf(files: ReadonlyMap<string, Blob>): ReadonlyMap<string, Blob> {
  const isModel = /\.(safetensors|gguf|onnx|onnx_data(_\d+)?|data|index\.json)$/i;
  return new Map([...files].filter(([path]) => {
    const name = path.split("/").at(-1)!;
    return isModel.test(name) || ["read", "carried", "terms"].includes(String(fateOf(name))) ||
      path.includes("/");
  }));
}

/**
 * Browsers tell pages of a round number of bytes that they give; whether they do is seen when one
 * asks for them.
 * @throws {StorageError} when the model and its result have no room.
 */
async function checkStorage(files: readonly Blob[], { weightBytes }: Model) {
  const needed = files.reduce((sum, { size }) => sum + size, weightBytes);
  if (!await hasRoom(await runsFolder(), needed)) throw new StorageError(needed);
}
