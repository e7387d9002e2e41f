/**
 * Where sharing a search among workers stops paying: the embedded model is pruned once with one
 * worker, every job is written down with what it was asked after and the block-tokens that it took,
 * and these jobs are gone through again with 1 to 256 workers, each batch with the worker that the
 * queue gives it to. Each worker computes so many block-tokens a second, and the way to it and back
 * takes `--way` milliseconds. Refits and measures are the run's own, and are not counted.
 *
 * Usage: deno run -A benchmarks/bench_sharing.ts [--way MS] [--rates N,N]
 *        --rates N,N   block-tokens a second of the embedded model, as bench forward measured it,
 *                      and of one of 8 billion parameters, at 230 GFLOP/s
 */
import {
  CALIBRATION_TEXT,
  cutTexts,
  DEMO_MODEL,
  FileFolder,
  listOf,
  MemoryStore,
  openBackend,
  openModel,
  openTokenizer,
  prune,
  type RunFlags,
  runFlags,
} from "lopper";
import { modelDigest } from "@lopper/models";
import { openWorker } from "@lopper/run";
import { type Answer, InProcessQueue, type Named, type WorkQueue } from "@lopper/workers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { printTable, save } from "./harness.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    way: { type: "string", default: "5" },
    rates: { type: "string", default: "276000,1050" },
  },
});
const RATES = options.rates.split(",").map(Number);
const WAY = Number(options.way) / 1000;
const WORKERS = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const memory = () => 4e9;

/** A job as it was asked for and answered. */
interface Job {
  readonly batch: number;
  /** How many jobs were answered when it was asked for. */
  readonly after: number;
  /** Its place among the answers. */
  answered: number;
  blockTokens: number;
}

/** Writes down what is asked, and when. */
class Recorder implements WorkQueue {
  readonly jobs: Job[] = [];
  readonly #queue: WorkQueue;
  #answers = 0;

  constructor(queue: WorkQueue) {
    this.#queue = queue;
  }

  begin(setup: Named): Promise<void> {
    return this.#queue.begin(setup);
  }

  keep(text: Named): Promise<void> {
    return this.#queue.keep(text);
  }

  async ask(job: Named, batch: number): Promise<Answer> {
    const own: Job = { batch, after: this.#answers, answered: 0, blockTokens: 0 };
    this.jobs.push(own);
    const answer = await this.#queue.ask(job, batch);
    own.blockTokens = "blockTokens" in answer ? answer.blockTokens : 0;
    own.answered = this.#answers++;
    return answer;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#queue[Symbol.asyncDispose]();
  }
}

/** Seconds until the last answer, if a job waits for the answers that it waited for. */
function replayed(jobs: readonly Job[], workers: number, perBlockToken: number): number {
  const free = new Array<number>(workers).fill(0);
  const ends: number[] = [];
  /** When so many answers had come, by the order in which they came at first. */
  const known: number[] = [0];
  const reached = (count: number) => {
    for (let i = known.length; i <= count; i++) known[i] = Math.max(known[i - 1], ends[i - 1] ?? 0);
    return known[count];
  };
  for (const { batch, after, answered, blockTokens } of jobs) {
    const worker = batch % workers;
    const start = Math.max(free[worker], reached(after) + WAY / 2);
    free[worker] = start + blockTokens * perBlockToken;
    ends[answered] = free[worker] + WAY / 2;
  }
  return reached(jobs.length);
}

const SEARCHES: Readonly<Record<string, Partial<RunFlags>>> = {
  "the usual search": { ratio: 6 },
  "on eight times the text": { ratio: 6, samples: 128 },
  "every candidate on everything": { ratio: 1, search: "exhaustive", samples: 128 },
};

async function recorded(given: Partial<RunFlags>) {
  using model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
  using tokenizer = await openTokenizer(model.folder);
  const flags = { ...runFlags(model.architecture, { seqLen: 256, ...given, recover: "none" }) };
  const lines = (await Deno.readTextFile(CALIBRATION_TEXT)).trim().split("\n");
  const passages: string[] = lines.map((line) => JSON.parse(line).text);
  const texts = await cutTexts(
    {
      block: { name: "passages", sources: [{ samples: listOf(passages.slice(1)), weight: 1 }] },
      width: null,
      heldOut: { name: "a passage", samples: listOf([passages[0]]) },
    },
    flags,
    model.architecture,
    tokenizer,
  );
  await using backend = (await openBackend("cpu", {})).backend;
  const digest = await modelDigest(model);
  await using queue = new Recorder(
    new InProcessQueue(1, (setup) => openWorker(model, digest, setup, { backend, memory })),
  );
  const store = new MemoryStore();
  const tools = { backend, tokenizer, store, memory, queue };
  // What follows the search is shared out as well, and is no part of it.
  for await (const event of prune(model, texts, { flags }, tools)) {
    if (event.type === "finished" && event.phase === "searching") break;
  }
  return { jobs: queue.jobs, batches: new Set(queue.jobs.map(({ batch }) => batch)).size };
}

const results: Record<string, unknown> = {};
const rows: (readonly unknown[])[] = [];
for (const [search, given] of Object.entries(SEARCHES)) {
  console.error(search);
  const { jobs, batches } = await recorded(given);
  const [seconds, slow] = RATES.map((rate) =>
    WORKERS.map((workers) => replayed(jobs, workers, 1 / rate))
  );
  results[search] = {
    batches,
    jobs: jobs.length,
    workers: WORKERS,
    seconds,
    slow,
  };
  const share = (all: readonly number[]) => all.map((s) => `${(100 * s / all[0]).toFixed(0)} %`);
  rows.push([search, batches, jobs.length, ...share(seconds)]);
  rows.push(["the same, at the pace of 8B", batches, jobs.length, ...share(slow)]);
}
await save("sharing", { what: "the longest way of a search among workers", way: WAY, results });
printTable(["", "batches", "jobs", ...WORKERS.map(String)], rows);
