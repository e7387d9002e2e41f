import type { JobWorker, Named, WorkQueue } from "./work_queue.ts";
import { type Answer, readWork, workText } from "./work_schema.ts";

/**
 * A queue whose workers are in this process. What they are given and what they say are texts, as
 * they are on the way to other machines.
 */
export class InProcessQueue implements WorkQueue {
  readonly #open: (setup: Named) => Promise<JobWorker>;
  readonly #count: number;
  #workers: readonly Promise<JobWorker>[] = [];
  readonly #kept = new Map<string, string>();

  /** @param open a worker for a run, as many times as there are to be. */
  constructor(count: number, open: (setup: Named) => Promise<JobWorker>) {
    this.#count = count;
    this.#open = open;
  }

  async begin(setup: Named): Promise<void> {
    this.#workers = Array.from({ length: this.#count }, () => this.#open(setup));
    await Promise.all(this.#workers);
  }

  keep({ name, text }: Named): Promise<void> {
    this.#kept.set(name, text);
    return Promise.resolve();
  }

  async ask(job: Named, batch: number): Promise<Answer> {
    const worker = await this.#workers[batch % this.#workers.length];
    const answer = await worker.work(job, (name) => Promise.resolve(this.#kept.get(name) ?? ""));
    return readWork("answer", workText(answer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of await Promise.allSettled(this.#workers)) {
      if (worker.status === "fulfilled" && isDisposable(worker.value)) {
        await worker.value[Symbol.asyncDispose]();
      }
    }
  }
}

function isDisposable(value: object): value is AsyncDisposable {
  return Symbol.asyncDispose in value;
}
