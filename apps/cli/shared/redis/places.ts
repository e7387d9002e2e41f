import type { Redis } from "ioredis";

/** How often whoever is there says so, and after how long of silence nobody counts on it. */
export const HEARTBEAT_MS = 2000;
export const SILENCE_MS = 10_000;

/**
 * Into so many queues the work of a run goes, by batches, and each worker takes some of them: as
 * many workers can have work.
 */
export const SLOTS = 16;

/** How BullMQ takes work that nobody answers for any more away from a worker. */
export const LOCKS = {
  lockDuration: SILENCE_MS,
  stalledInterval: 3000,
  // A job that was stopped is done by another worker, however often that happens.
  maxStalledCount: 1_000_000,
  drainDelay: 2,
  runRetryDelay: 1000,
} as const;

/** What is in the queues is gone when it was done: a run's journal has what came of it. */
export const KEEP_NOTHING = { removeOnComplete: true, removeOnFail: true } as const;

/** Before all keys of Lopper's in a server. */
export const PREFIX = "lopper";

/** Of the runs that want work done. */
export const RUNS = `${PREFIX}:runs`;
/** Of the workers of a run. */
export const workersOf = (run: string) => `${PREFIX}:workers:${short(run)}`;
/** Of a text that its digest names. */
export const textOf = (name: string) => `${PREFIX}:text:${jobId(name)}`;
/** A queue of a run; BullMQ takes no colons in names. */
export const slotQueue = (run: string, slot: number) => `${short(run)}-${slot}`;
export const answerQueue = (run: string) => `${short(run)}-answers`;
/** The digits of a digest: BullMQ takes no colons here, either. */
export const jobId = (name: string) => name.replace(/^sha256:/, "");

/** Enough of a digest to tell runs apart. */
function short(run: string): string {
  return jobId(run).slice(0, 16);
}

/** Says that somebody is there, by the server's clock. */
export async function sayHere(redis: Redis, place: string, who: string): Promise<void> {
  const now = await clock(redis);
  await redis.zadd(place, now, who);
  await redis.zremrangebyscore(place, 0, now - 10 * SILENCE_MS);
}

/** Says that somebody is not any more. */
export async function sayGone(redis: Redis, place: string, who: string): Promise<void> {
  await redis.zrem(place, who);
}

/** Who is there, in the order of their names. */
export async function whoIsHere(redis: Redis, place: string): Promise<readonly string[]> {
  const here = await redis.zrangebyscore(place, await clock(redis) - SILENCE_MS, "+inf");
  return here.toSorted();
}

/** Milliseconds. */
async function clock(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Math.floor(Number(seconds) * 1000 + Number(micros) / 1000);
}
