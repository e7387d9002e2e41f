import { plural, UsageError } from "@lopper/core";
import { InProcessQueue, type WorkQueue } from "@lopper/workers";
import { availableParallelism } from "node:os";
import { commandLine } from "../called_as.ts";
import { type EngineOptions, EngineThread } from "../shared/engine/engine_thread.ts";
import { redisAddress } from "../shared/redis/address.ts";
import type { Reporter } from "../shared/terminal/reporter.ts";

/** What engines on this machine work with. */
export type OwnEngines = Omit<EngineOptions, "share">;

/**
 * The queue that a run's work goes into.
 * @param workers how many there are to be on this machine, or the address of Redis.
 * @throws {UsageError} when it is neither.
 * @throws {LopperError} when nobody answers at the address.
 */
export async function openQueue(
  workers: string,
  engines: OwnEngines,
  reporter: Reporter,
): Promise<WorkQueue> {
  return isCount(workers) ? openOwn(Number(workers), engines) : await openRedis(workers, reporter);
}

/** Whether workers are on this machine, so many of them. */
export function isCount(workers: string): boolean {
  return /^\d+$/.test(workers);
}

/** Each has an engine of its own, in a thread; this one has its model, too. */
function openOwn(count: number, engines: OwnEngines): WorkQueue {
  const most = availableParallelism();
  if (count < 1 || count > most) {
    throw new UsageError(
      `--workers is ${count}; on this machine there may be 1 to ${most}, one for each core`,
    );
  }
  const threads = engines.threads ?? Math.max(1, Math.floor(most / count));
  const options = { ...engines, threads, share: count + 1 };
  return new InProcessQueue(
    count,
    async (setup) => (await EngineThread.open(options, setup)).engine,
  );
}

async function openRedis(redis: string, reporter: Reporter): Promise<WorkQueue> {
  const address = redisAddress(redis);
  const { RedisQueue } = await import("../shared/redis/queue.ts");
  const { label } = address;
  const start = commandLine("worker REDIS --model MODEL");
  const queue = new RedisQueue(address, {
    onWorkers: (workers) =>
      reporter.note(
        workers > 0
          ? `${plural(workers, "worker")} at ${label}`
          : `no worker at ${label}; start some: ${start}`,
      ),
    onEnd: (heard, ignored) =>
      reporter.note(
        `workers answered ${plural(heard, "job")}; ${
          plural(ignored, "answer")
        } came twice or late and did not count`,
      ),
  });
  try {
    await queue.checkReachable();
  } catch (error) {
    await queue[Symbol.asyncDispose]();
    throw error;
  }
  return queue;
}
