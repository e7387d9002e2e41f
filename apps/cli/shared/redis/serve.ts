import { LopperError } from "@lopper/core";
import {
  type Answer,
  type JobWorker,
  type Named,
  nameOf,
  WorkerGoneError,
  WorkError,
  workText,
} from "@lopper/workers";
import type { Job, Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { RedisAddress } from "./address.ts";
import { openQueue, takeFrom } from "./bull.ts";
import { mySlots } from "./my_slots.ts";
import { connect, whyUnreached } from "./connect.ts";
import {
  answerQueue,
  HEARTBEAT_MS,
  jobId,
  KEEP_NOTHING,
  RUNS,
  sayGone,
  sayHere,
  slotQueue,
  textOf,
  whoIsHere,
  workersOf,
} from "./places.ts";

/** A worker that is open for one run. */
export type RunWorker = JobWorker & AsyncDisposable;

export interface ServeOptions {
  readonly address: RedisAddress;
  /** Names this worker among others. */
  readonly id: string;
  /** @throws {WorkError} when the run is of another model, say. */
  readonly open: (setup: Named) => Promise<RunWorker>;
  /** Tells people what happens. */
  readonly tell: (message: string) => void;
  /** Whether to end. */
  readonly check: () => void;
}

/** What was begun has so many milliseconds to end. */
const CLOSE_MS = 5000;

/** Works for one run after the other, until `check` throws. */
export async function serve(options: ServeOptions): Promise<never> {
  const { address, check, tell } = options;
  const redis = connect(address);
  const refused = new Set<string>();
  try {
    const why = await whyUnreached(redis, address);
    if (why !== null) tell(`Redis at ${address.label} is not there yet: ${why}`);
    for (;; await pause(HEARTBEAT_MS / 2, check)) {
      for (const run of await whoIsHere(redis, RUNS)) {
        if (refused.has(run)) continue;
        try {
          const setup = await keptText(redis, run);
          await using worker = await options.open({ name: run, text: setup });
          await using serving = new Serving(redis, run, worker, options);
          await serving.untilGone();
        } catch (error) {
          if (!(error instanceof LopperError) || error instanceof WorkerGoneError) throw error;
          refused.add(run);
          tell(`a run is not taken: ${error.message}`);
        }
      }
    }
  } finally {
    redis.disconnect();
  }
}

/** Takes work of a run from those queues that are this worker's. */
class Serving {
  readonly #redis: Redis;
  readonly #run: string;
  readonly #worker: RunWorker;
  readonly #options: ServeOptions;
  readonly #answers: Queue;
  readonly #slots = new Map<number, Worker>();
  readonly #onReady: () => void;
  #jobs = 0;
  /** Why this worker can go on no more. */
  #gone: WorkerGoneError | null = null;

  constructor(redis: Redis, run: string, worker: RunWorker, options: ServeOptions) {
    this.#redis = redis;
    this.#run = run;
    this.#worker = worker;
    this.#options = options;
    this.#answers = openQueue(redis, answerQueue(run));
    // A worker of BullMQ may pull no more after its connection came back: others take its place.
    this.#onReady = () => {
      for (const slot of [...this.#slots.keys()]) this.#leave(slot);
    };
    redis.on("ready", this.#onReady);
  }

  async untilGone(): Promise<void> {
    const { id, check, tell } = this.#options;
    tell(`working for run ${this.#run.slice(0, 15)}`);
    for (let silent = 0; silent < 5; await pause(HEARTBEAT_MS, check)) {
      if (this.#gone) throw this.#gone;
      await sayHere(this.#redis, workersOf(this.#run), id);
      this.#take(mySlots(id, await whoIsHere(this.#redis, workersOf(this.#run))));
      const runs = await whoIsHere(this.#redis, RUNS);
      silent = runs.includes(this.#run) ? 0 : silent + 1;
    }
    tell(`run ${this.#run.slice(0, 15)} needs no more work; ${this.#jobs} jobs were done here`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.off("ready", this.#onReady);
    if (this.#redis.status === "ready") {
      await sayGone(this.#redis, workersOf(this.#run), this.#options.id);
    }
    const workers = [...this.#slots.values()];
    // What was begun is ended, so that nobody waits for its lock to end; not without a server.
    const closed = Promise.allSettled(workers.map((worker) => worker.close()));
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CLOSE_MS))]);
    await Promise.allSettled(workers.map((worker) => worker.close(true)));
    await this.#answers.close();
  }

  #take(slots: ReadonlySet<number>) {
    for (const slot of [...this.#slots.keys()]) if (!slots.has(slot)) this.#leave(slot);
    for (const slot of slots) {
      if (this.#slots.has(slot)) continue;
      const name = slotQueue(this.#run, slot);
      this.#slots.set(slot, takeFrom(this.#redis, name, (job) => this.#answer(job)));
    }
  }

  /** What it is at it ends; others may begin it, too. */
  #leave(slot: number) {
    this.#slots.get(slot)?.close().catch(() => {});
    this.#slots.delete(slot);
  }

  async #answer(job: Job): Promise<void> {
    const text = String(job.data?.text);
    const name = await nameOf(text);
    const answer = await this.#work({ name, text }, job);
    this.#jobs += 1;
    await this.#answers.add("answer", { text: workText(answer) }, {
      ...KEEP_NOTHING,
      jobId: jobId(name),
    });
  }

  /** What cannot be done at the last try is said, so that nobody waits for it. */
  async #work(named: Named, { attemptsMade, opts: { attempts = 1 } }: Job): Promise<Answer> {
    try {
      return await this.#worker.work(named, (name) => keptText(this.#redis, name));
    } catch (error) {
      // Others do it when its lock has ended, or at the next try.
      if (error instanceof WorkerGoneError) this.#gone = error;
      if (this.#gone || attemptsMade + 1 < attempts) throw error;
      return { job: named.name, problem: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** @throws {WorkError} when it is not there, or is another one. */
async function keptText(redis: Redis, name: string): Promise<string> {
  const text = await redis.get(textOf(name));
  if (text === null || await nameOf(text) !== name) {
    throw new WorkError(`Redis has not what is named ${name.slice(0, 15)}`);
  }
  return text;
}

/** Waits, and asks in between whether to end. */
async function pause(milliseconds: number, check: () => void): Promise<void> {
  const end = performance.now() + milliseconds;
  for (; performance.now() < end; check()) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, milliseconds)));
  }
}
