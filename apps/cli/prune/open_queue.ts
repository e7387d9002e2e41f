import { plural } from "@lopper/core";
import type { WorkQueue } from "@lopper/workers";
import { commandLine } from "../called_as.ts";
import { redisAddress } from "../redis/address.ts";
import type { Reporter } from "../terminal/reporter.ts";

/**
 * The queue that a run's work goes into.
 * @throws {UsageError} when the address is none.
 * @throws {LopperError} when nobody answers there.
 */
export async function openQueue(redis: string, reporter: Reporter): Promise<WorkQueue> {
  const address = redisAddress(redis);
  const { RedisQueue } = await import("../redis/queue.ts");
  const queue = new RedisQueue(address, (workers) =>
    reporter.note(
      workers > 0
        ? `${plural(workers, "worker")} at ${address.label}`
        : `no worker at ${address.label} yet; start some: ${
          commandLine("worker REDIS --model MODEL")
        }`,
    ));
  try {
    await queue.checkReachable();
  } catch (error) {
    await queue[Symbol.asyncDispose]();
    throw error;
  }
  return queue;
}
