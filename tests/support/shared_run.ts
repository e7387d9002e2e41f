import { openBackend } from "@lopper/backends";
import { FileFolder, ScratchFile } from "@lopper/files";
import { listOf } from "@lopper/importance";
import { modelDigest, openModel } from "@lopper/models";
import {
  cutTexts,
  MemoryStore,
  openWorker,
  prune,
  type RunFlags,
  runFlags,
  type RunStore,
} from "@lopper/run";
import { sha256 } from "@lopper/core";
import { openTokenizer } from "@lopper/tokenizers";
import {
  type Answer,
  InProcessQueue,
  type JobWorker,
  type Named,
  type WorkQueue,
} from "@lopper/workers";
import { readFile } from "node:fs/promises";

/** What a run decided and found out, without what it took. */
export interface SharedRun {
  /** Digests of the files of the result, by their paths. */
  readonly files: Readonly<Record<string, string>>;
  readonly journal: readonly unknown[];
  /** Block-tokens of the whole search. */
  readonly blockTokens: number;
  /** What people were told of it. */
  readonly notes: readonly string[];
}

export interface SharedRunOptions {
  readonly model: string;
  readonly calibration: string;
  readonly heldOut: string;
  readonly flags: Partial<RunFlags>;
  /** Bytes that it may take; left out, enough for every batch. */
  readonly memory?: number;
  /** The folder of its scratch file; left out, it has none. */
  readonly scratch?: string;
}

/** Memory enough for every batch. */
const memory = () => 2e9;

/** Prunes a model in this process. @param queue whose workers score; without one, nobody helps. */
export async function sharedRun(
  { model: path, calibration, heldOut, flags: given, memory: bytes, scratch }: SharedRunOptions,
  queue?: WorkQueue,
): Promise<SharedRun> {
  using model = await openModel(new FileFolder(path));
  using tokenizer = await openTokenizer(model.folder);
  const usual = runFlags(model.architecture, given);
  const flags = { ...usual, batchTokens: given.batchTokens ?? usual.batchTokens };
  const source = async (file: string) => listOf(await samples(file));
  const texts = await cutTexts(
    {
      block: { name: "text", sources: [{ samples: await source(calibration), weight: 1 }] },
      width: null,
      heldOut: { name: "held-out", samples: await source(heldOut) },
    },
    flags,
    model.architecture,
    tokenizer,
  );
  await using backend = (await openBackend("cpu", { threads: 1 })).backend;
  const store: MemoryStore & RunStore = new MemoryStore();
  if (scratch) store.openScratch = () => ScratchFile.open(scratch);
  const tools = { backend, tokenizer, store, memory: bytes ? () => bytes : memory, queue };
  const notes: string[] = [];
  for await (const event of prune(model, texts, { flags }, tools)) {
    if (event.type === "note") notes.push(event.message);
  }
  const files: Record<string, string> = {};
  for (const file of await store.result.list()) {
    // The card says how long the run took.
    if (file !== "README.md") files[file] = await sha256(await store.result.readBytes(file, 1e9));
  }
  return {
    files,
    journal: found(store.history),
    blockTokens: store.record!.blockTokens.spent,
    notes,
  };
}

/** A queue with so many workers in this process, each with the model of its own. */
export function workersHere(count: number, path: string): InProcessQueue {
  return new InProcessQueue(count, workersOf(path));
}

/**
 * The same, where each worker dies after so many jobs, and another one takes over what it kept.
 */
export function mortalWorkersHere(count: number, path: string, jobs: number): InProcessQueue {
  const open = workersOf(path);
  return new InProcessQueue(count, async (setup) => {
    let worker = await open(setup);
    let left = jobs;
    const work: JobWorker["work"] = async (job, kept) => {
      if (left === 0) {
        await worker[Symbol.asyncDispose]();
        worker = await open(setup);
        left = jobs;
      }
      left -= 1;
      return await worker.work(job, kept);
    };
    let turn: Promise<unknown> = Promise.resolve();
    return {
      work(job, kept) {
        const done = turn.then(() => work(job, kept));
        turn = done.catch(() => {});
        return done;
      },
      [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
    };
  });
}

function workersOf(path: string) {
  return async (setup: Named) => {
    const model = await openModel(new FileFolder(path));
    const { backend } = await openBackend("cpu", { threads: 1 });
    const worker = await openWorker(model, await modelDigest(model), setup, { backend, memory });
    return {
      work: worker.work,
      async [Symbol.asyncDispose]() {
        await worker[Symbol.asyncDispose]();
        await backend[Symbol.asyncDispose]();
        model[Symbol.dispose]();
      },
    };
  };
}

/** Without what it took, which differs from run to run. */
function found(history: object): readonly unknown[] {
  const text = JSON.stringify(
    history,
    (key, value) =>
      key === "cost" || key === "blockTokens" || key === "seconds" ? undefined : value,
  );
  return JSON.parse(`[${text}]`);
}

async function samples(file: string): Promise<readonly string[]> {
  const lines = (await readFile(file, "utf-8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line).text);
}

/**
 * Reckons how long a run would wait for its workers if a block-token took each of them the same
 * time, and the way there none: a job begins when it was asked for and its worker is free, and
 * whatever is asked after an answer waited for that.
 */
export class Timeline implements WorkQueue {
  readonly #queue: WorkQueue;
  readonly #free: number[];
  #now = 0;

  constructor(queue: WorkQueue, workers: number) {
    this.#queue = queue;
    this.#free = new Array<number>(workers).fill(0);
  }

  /** When the last worker is free, in block-tokens. */
  get end(): number {
    return Math.max(...this.#free);
  }

  begin(setup: Named): Promise<void> {
    return this.#queue.begin(setup);
  }

  keep(text: Named): Promise<void> {
    return this.#queue.keep(text);
  }

  async ask(job: Named, batch: number): Promise<Answer> {
    const asked = this.#now;
    const answer = await this.#queue.ask(job, batch);
    const worker = batch % this.#free.length;
    const took = "blockTokens" in answer ? answer.blockTokens : 0;
    this.#free[worker] = Math.max(this.#free[worker], asked) + took;
    this.#now = Math.max(this.#now, this.#free[worker]);
    return answer;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#queue[Symbol.asyncDispose]();
  }
}
