import { type Job, Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { LOCKS, PREFIX } from "./places.ts";

/** A queue of BullMQ's. Whoever waits learns of a connection that broke from what does not come. */
export function openQueue(connection: Redis, name: string): Queue {
  const queue = new Queue(name, { connection, prefix: PREFIX });
  queue.on("error", () => {});
  return queue;
}

/**
 * Takes from a queue what is put there, one job after the other. Of a lock that another one has by
 * now, say, nothing is heard: whoever asked hears one answer.
 */
export function takeFrom(
  connection: Redis,
  name: string,
  take: (job: Job) => Promise<void>,
): Worker {
  const worker = new Worker(name, take, { connection, prefix: PREFIX, ...LOCKS });
  worker.on("error", () => {});
  return worker;
}
