import { LopperError } from "@lopper/core";
import { Redis } from "ioredis";
import type { RedisAddress } from "./address.ts";

/** Milliseconds in which a server that is there answers. */
const ANSWER_MS = 5000;

/** Opens a connection, which comes back by itself whenever it breaks. */
export function connect({ options }: RedisAddress): Redis {
  const redis = new Redis(options);
  // Whoever waits learns of it from what does not come.
  redis.on("error", () => {});
  return redis;
}

/**
 * Why a server cannot be reached, or null where it can.
 * @throws {LopperError} when it is there and refuses.
 */
export async function whyUnreached(redis: Redis, { label }: RedisAddress): Promise<string | null> {
  let last = "it does not answer";
  const onError = ({ message }: Error) => last = message;
  redis.on("error", onError);
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve(last), ANSWER_MS);
  try {
    return await Promise.race([asked(redis, label), late.promise]);
  } finally {
    clearTimeout(timer);
    redis.off("error", onError);
  }
}

/** An error of ioredis has the command in it, and that the password: only its message goes on. */
async function asked(redis: Redis, label: string): Promise<null> {
  try {
    await redis.ping();
    return null;
  } catch (error) {
    throw new LopperError(
      `Redis at ${label} refuses: ${error instanceof Error ? error.message : error}`,
    );
  }
}
