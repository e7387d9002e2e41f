/**
 * Does one task for a page, in a thread of its own: the page draws meanwhile, and ends it by ending
 * the thread.
 */
import { begin } from "./tasks/begin.ts";
import { explain } from "./tasks/explain.ts";
import { generate } from "./tasks/generate.ts";
import { withRun } from "./tasks/locks.ts";
import { look } from "./tasks/look.ts";
import type { Asking, Said, TaskName, Tasks } from "./tasks/protocol.ts";
import { goOn } from "./tasks/prune.ts";
import { result } from "./tasks/result.ts";
import { save } from "./tasks/save.ts";
import { remove, runs } from "./tasks/list_runs.ts";

type Doing<N extends TaskName> = (
  given: Tasks[N]["given"],
  tell: (told: Tasks[N]["told"]) => void,
) => Promise<Tasks[N]["answer"]>;

/** Whoever changes a run has its lock. */
const DOING: { readonly [N in TaskName]: Doing<N> } = {
  runs,
  look,
  begin,
  goOn: (id, tell) => withRun(id, () => goOn(id, tell)),
  result,
  generate,
  save: (given, tell) => withRun(given.run, () => save(given, tell)),
  remove: (id) => withRun(id, () => remove(id)),
};

// The page's own worker has no other types here: those of pages and of workers exclude one another.
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Asking>) => void) | null;
  postMessage(said: Said): void;
};

scope.onmessage = async ({ data: { task, given } }) => {
  try {
    const work = DOING[task] as Doing<TaskName>;
    scope.postMessage({ answer: await work(given, (told) => scope.postMessage({ told })) });
  } catch (error) {
    scope.postMessage({ problem: explain(error) });
  }
};
