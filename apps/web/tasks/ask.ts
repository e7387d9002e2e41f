import type { Said, TaskName, Tasks } from "./protocol.ts";

/** A task that a worker is at. */
export interface Asked<N extends TaskName> {
  /** @throws {TaskError} with a sentence for people. */
  readonly answer: Promise<Tasks[N]["answer"]>;
  /** Ends it, whatever it is at; `answer` then never comes. */
  stop(): void;
}

/** Why a task came to nothing, as a sentence for people. */
export class TaskError extends Error {}

/** Bundled, it is beside the page. */
const MODULE = new URL(
  import.meta.url.endsWith(".ts") ? "../task_worker.ts" : "./task_worker.js",
  import.meta.url,
);

/** Starts a task in a worker of its own. */
export function ask<N extends TaskName>(
  task: N,
  given: Tasks[N]["given"],
  onTold: (told: Tasks[N]["told"]) => void = () => {},
): Asked<N> {
  const worker = new Worker(MODULE, { type: "module" });
  const stop = () => worker.terminate();
  const answer = new Promise<Tasks[N]["answer"]>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Said<N>>) => {
      if ("told" in data) return onTold(data.told);
      stop();
      if ("answer" in data) resolve(data.answer);
      else reject(new TaskError(data.problem));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      stop();
      reject(
        new TaskError("The browser ended the work. What the run decided is kept: go on with it."),
      );
    };
  });
  worker.postMessage({ task, given });
  return { answer, stop };
}
