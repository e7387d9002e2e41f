import { fateOf } from "@lopper/models";
import { shareMemory } from "@lopper/run";
import type { About } from "./about.ts";
import { StorageError } from "./explain.ts";
import { withRun } from "./locks.ts";
import { folderOf, titleOf } from "./look.ts";
import { memoryHere } from "./memory.ts";
import { openRun } from "./open_run.ts";
import type { Tasks } from "./protocol.ts";
import { keepRun } from "./runs.ts";

/**
 * Checks that a run can be made here, and keeps in the browser's storage what it needs.
 * @returns the id of the run, which has decided nothing yet.
 * @throws {InsufficientMemoryError} when the model does not fit into memory.
 * @throws {StorageError} when there is no room for it.
 * @throws {UnreachableTargetError} when so much cannot go.
 */
export async function begin(
  { source, text, asked }: Tasks["begin"]["given"],
  tell: (told: Tasks["begin"]["told"]) => void,
): Promise<string> {
  const about: About = {
    kind: "lopper-web-run",
    title: titleOf(source),
    isEmbedded: source.kind === "embedded",
    text: text && text.name,
    asked,
    begun: new Date().toISOString(),
  };
  const files = source.kind === "embedded" ? new Map<string, Blob>() : neededOf(source.files);
  {
    await using opened = await openRun(await folderOf(source), about, text, undefined);
    const { model, texts, task, backend } = opened;
    shareMemory(model, texts, task.flags, {
      backend,
      memory: memoryHere,
      store: { settings: null },
    });
    await checkStorage([...files.values()], model.weightBytes);
  }
  // The browser may clear what it was not asked to keep.
  await navigator.storage.persist?.();
  const id = crypto.randomUUID();
  const progress = (done: number, total: number) => tell({ done, total });
  await withRun(id, () => keepRun(id, { about, files, text }, progress));
  return id;
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

/** @throws {StorageError} when the model and its result have no room. */
async function checkStorage(files: readonly Blob[], resultBytes: number) {
  const { quota, usage } = await navigator.storage.estimate();
  if (quota === undefined || usage === undefined) return;
  const needed = files.reduce((sum, { size }) => sum + size, resultBytes);
  if (needed > quota - usage) throw new StorageError(needed, quota - usage);
}
