import { UsageError } from "@lopper/core";
import type { RedisOptions } from "ioredis";

/** Milliseconds between two tries to reach a server that is away. */
const RETRY_MS = { first: 200, longest: 2000 };

/** Milliseconds without an answer after which a connection is lost. */
const LOST_MS = 10_000;

/** Where a Redis server is, and how to come in. */
export interface RedisAddress {
  /** For people: without user and password. */
  readonly label: string;
  readonly options: RedisOptions;
}

/**
 * Reads `redis://[user[:password]@]host[:port][/db]`, or `rediss://` for TLS.
 * @throws {UsageError} when it is none; the message repeats no password.
 */
export function redisAddress(word: string): RedisAddress {
  const url = URL.canParse(word) ? new URL(word) : null;
  const isTls = url?.protocol === "rediss:";
  if (!url || !(isTls || url.protocol === "redis:") || url.hostname === "") {
    throw new UsageError(
      "the address of Redis needs to be redis://host:port or rediss://host:port, with user:password@ before the host where there are some",
    );
  }
  const db = url.pathname.replace(/^\//, "");
  if (!/^\d*$/.test(db)) {
    throw new UsageError(`the address of Redis ends in /${db}, and databases are numbers`);
  }
  const port = Number(url.port || 6379);
  // ioredis takes an IPv6 address without its brackets.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const options: RedisOptions = {
    ...{ host, port, db: Number(db || 0) },
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    ...(isTls && { tls: { servername: host } }),
    // What is asked for while the server is away is asked for when it is back.
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => Math.min(times * RETRY_MS.first, RETRY_MS.longest),
    // A connection that was lost without a word is given up, and what it waited for is asked again
    // over another one; a worker of BullMQ waits for two seconds at most.
    socketTimeout: LOST_MS,
  };
  return { label: `${url.protocol}//${url.host}${db && `/${db}`}`, options };
}
