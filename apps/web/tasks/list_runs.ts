import { filesIn, type FolderHandle, isMissing, removeEntry } from "@lopper/browser/handles";
import type { RunState, RunSummary } from "./protocol.ts";
import { explain } from "./explain.ts";
import { isTaken, takenLocks } from "./locks.ts";
import { runsFolder } from "./places.ts";
import { StoredRun } from "./runs.ts";

/**
 * What the browser keeps of this page, the newest run first. What a closed tab left half copied
 * goes.
 */
export async function runs(): Promise<readonly RunSummary[]> {
  const folder = await runsFolder();
  const taken = await takenLocks();
  const found: RunSummary[] = [];
  const ids: string[] = [];
  for await (const id of folder.keys()) ids.push(id);
  for (const id of ids) {
    const summary = await summaryOf(folder, id, isTaken(taken, id));
    if (summary) found.push(summary);
  }
  return found.sort((a, b) => a.begun < b.begun ? 1 : -1);
}

/** Null for what is no run. */
async function summaryOf(
  folder: FolderHandle,
  id: string,
  isBusy: boolean,
): Promise<RunSummary | null> {
  let run: StoredRun;
  try {
    run = await StoredRun.open(id);
  } catch (error) {
    // Whoever copies has the lock of all that is copied.
    if (isMissing(error) && !isBusy) await removeEntry(folder, id);
    return null;
  }
  const { title, asked, begun } = run.about;
  const bytes = [...(await filesIn(run.folder)).values()].reduce((sum, { size }) => sum + size, 0);
  const state = isBusy ? { kind: "busy" } as const : await stateOf(run);
  return { id, title, target: asked.ratio, begun, bytes, state };
}

async function stateOf(run: StoredRun): Promise<RunState> {
  try {
    using store = await run.store();
    const record = await store.record();
    if (record) return { kind: "finished", ratio: record.ratio };
    return { kind: "unfinished", ratio: store.history.steps.at(-1)?.ratio ?? 0 };
  } catch (error) {
    return { kind: "damaged", problem: explain(error) };
  }
}

/** Removes a run with all that belongs to it. */
export async function remove(id: string): Promise<null> {
  await removeEntry(await runsFolder(), id);
  return null;
}
