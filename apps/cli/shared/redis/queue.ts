import { LopperError } from "@lopper/core";
import { type Answer, type Named, readWork, WorkError, type WorkQueue } from "@lopper/workers";
import type { Job, Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { RedisAddress } from "./address.ts";
import { openQueue, takeFrom } from "./bull.ts";
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
  SLOTS,
  textOf,
  whoIsHere,
  workersOf,
} from "./places.ts";

/** Seconds that a text stays in the server when whoever needs it is gone. */
const TEXT_SECONDS = 60;
/** Milliseconds after which work without an answer is put into the queue again, if it is gone. */
const ASK_AGAIN_MS = 10_000;

/** A job of which no answer was heard. */
interface Open {
  readonly job: Named;
  readonly slot: number;
  readonly answered: PromiseWithResolvers<Answer>;
  /** Clock when it was put into the queue last. */
  asked: number;
}

/** What people are told of. */
export interface QueueTeller {
  /** How many workers a run has, whenever that changes. */
  readonly onWorkers: (workers: number) => void;
  /**
   * Hears at the end how many answers counted.
   * @param ignored of those that came twice, or to what a part of the run asked that is gone.
   */
  readonly onEnd: (heard: number, ignored: number) => void;
}

/**
 * Work that workers on other machines do: in queues of BullMQ, from which they take it. All that
 * it holds is in this process; a server that comes back empty is told everything again.
 */
export class RedisQueue implements WorkQueue {
  readonly #address: RedisAddress;
  readonly #redis: Redis;
  readonly #teller: QueueTeller;
  readonly #texts = new Map<string, Named>();
  readonly #open = new Map<string, Open>();
  readonly #queues = new Map<number, Queue>();
  #run: string | null = null;
  #answers: Worker | null = null;
  #beat: ReturnType<typeof setInterval> | null = null;
  #workers = -1;
  #heard = 0;
  #ignored = 0;

  constructor(address: RedisAddress, teller: QueueTeller) {
    this.#address = address;
    this.#redis = connect(address);
    this.#teller = teller;
  }

  /**
   * @throws {LopperError} when the server does not answer, or refuses.
   */
  async checkReachable(): Promise<void> {
    const why = await whyUnreached(this.#redis, this.#address);
    if (why === null) return;
    throw new LopperError(
      `Redis at ${this.#address.label} cannot be reached: ${why}; start it, or see the address`,
    );
  }

  async begin(setup: Named): Promise<void> {
    this.#run = setup.name;
    await this.keep(setup);
    this.#listen();
    // Lost with the connection may be what was under way.
    this.#redis.on("ready", () => {
      this.#listen();
      this.#askAgain(0).catch(() => {});
    });
    await this.#sayHere();
    this.#beat = setInterval(() => this.#sayHere().catch(() => {}), HEARTBEAT_MS);
  }

  async keep(text: Named): Promise<void> {
    this.#texts.set(text.name, text);
    await this.#redis.set(textOf(text.name), text.text, "EX", TEXT_SECONDS);
  }

  async ask(job: Named, batch: number): Promise<Answer> {
    const known = this.#open.get(job.name);
    if (known) return await known.answered.promise;
    const open: Open = {
      ...{ job, slot: batch % SLOTS, answered: Promise.withResolvers<Answer>() },
      asked: performance.now(),
    };
    this.#open.set(job.name, open);
    await this.#put(open);
    return await open.answered.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#beat) clearInterval(this.#beat);
    if (this.#run !== null) this.#teller.onEnd(this.#heard, this.#ignored);
    // A server that is away keeps nobody from ending.
    if (this.#redis.status === "ready" && this.#run !== null) {
      await sayGone(this.#redis, RUNS, this.#run);
      for (const queue of this.#queues.values()) await queue.obliterate({ force: true });
    }
    await this.#answers?.close(true);
    for (const queue of this.#queues.values()) await queue.close();
    this.#redis.disconnect();
  }

  /** Hears answers, from now on over a connection that was made for it. */
  #listen() {
    const before = this.#answers;
    before?.close(true).catch(() => {});
    this.#answers = takeFrom(this.#redis, answerQueue(this.#run!), (job) => this.#hear(job));
  }

  #hear({ data }: Job): Promise<void> {
    const answer = heardAnswer(data?.text);
    const open = answer && this.#open.get(answer.job);
    if (!open) {
      this.#ignored += 1;
      return Promise.resolve();
    }
    this.#heard += 1;
    this.#open.delete(answer.job);
    open.answered.resolve(answer);
    return Promise.resolve();
  }

  async #put(open: Open): Promise<void> {
    open.asked = performance.now();
    const data = { text: open.job.text };
    // What is there by this name stays as it is.
    await this.#queueOf(open.slot).add("work", data, {
      ...KEEP_NOTHING,
      ...{ jobId: jobId(open.job.name), attempts: 3, backoff: { type: "fixed", delay: 500 } },
    });
  }

  async #askAgain(after: number): Promise<void> {
    const due = performance.now() - after;
    for (const open of this.#open.values()) if (open.asked <= due) await this.#put(open);
  }

  #queueOf(slot: number): Queue {
    const known = this.#queues.get(slot);
    if (known) return known;
    const queue = openQueue(this.#redis, slotQueue(this.#run!, slot));
    this.#queues.set(slot, queue);
    return queue;
  }

  /** Says what there is to say to a server that may have forgotten it. */
  async #sayHere(): Promise<void> {
    for (const { name, text } of this.#texts.values()) {
      const isThere = await this.#redis.expire(textOf(name), TEXT_SECONDS);
      if (!isThere) await this.#redis.set(textOf(name), text, "EX", TEXT_SECONDS);
    }
    await sayHere(this.#redis, RUNS, this.#run!);
    const workers = await whoIsHere(this.#redis, workersOf(this.#run!));
    if (workers.length !== this.#workers) this.#teller.onWorkers(this.#workers = workers.length);
    await this.#askAgain(ASK_AGAIN_MS);
  }
}

/** Null for what is none: whoever asked waits on, and asks again. */
function heardAnswer(text: unknown): Answer | null {
  try {
    return readWork("answer", String(text));
  } catch (error) {
    if (error instanceof WorkError) return null;
    throw error;
  }
}
