import { HubError } from "@lopper/core";
import { setTimeout as delay } from "node:timers/promises";
import type { Asked, Hub } from "./hub.ts";
import { hubError, refusal, unreachable } from "./refusal.ts";

/** Times that something is asked for; after the last one a pause would be of half a minute. */
export const ATTEMPTS = 5;
/**
 * The longest pause that the hub may ask for, in seconds; for a longer one nobody wants to wait.
 */
const MAX_PAUSE = 5 * 60;
/** Answers of a hub that has much to do, or is just being restarted. */
const BUSY: readonly number[] = [429, 500, 502, 503, 504];
const SILENCE = 60_000;

type Take = (response: Response) => Response | Promise<Response>;

/**
 * Asks a hub, with patience: a busy one is asked again, and so is one that was reached before. Who
 * has no network is told so at once.
 */
export class HubClient {
  readonly endpoint: string;
  readonly cache: string;
  /** Milliseconds without a byte after which a connection counts as cut. */
  readonly silence: number;
  readonly #hub: Hub;
  #wasReached = false;

  constructor(hub: Hub) {
    this.endpoint = hub.endpoint;
    this.cache = hub.cache;
    this.silence = hub.silence ?? SILENCE;
    this.#hub = hub;
  }

  /** What functions of the hub's package take to ask for something. */
  access(asked: Asked) {
    const { token } = this.#hub;
    return {
      hubUrl: this.endpoint,
      fetch: this.#fetchFor(asked),
      ...token !== null && { accessToken: token },
    };
  }

  /** The same, for what asks who writes. @throws {HubError} without a token. */
  accessToWrite(asked: Asked) {
    const { token } = this.#hub;
    if (token !== null) return { ...this.access(asked), accessToken: token };
    throw hubError(asked, this.endpoint, "HF_TOKEN needs to hold a token that may write");
  }

  /** Begins to read a file from a byte on. @throws {HubError} */
  async open(asked: Asked, path: string, from: number): Promise<Response> {
    const { token } = this.#hub;
    const headers = new Headers({ "accept-encoding": "identity" });
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    if (from > 0) headers.set("range", `bytes=${from}-`);
    const url = new URL(`${this.endpoint}${path}`);
    return await this.#ask(asked, url, { headers }, (response) => response);
  }

  /** Waits before the next attempt, longer each time. */
  async pause(attempt: number, seconds = 2 ** (attempt - 1)): Promise<void> {
    const { wait, signal } = this.#hub;
    signal?.throwIfAborted();
    await (wait ?? ((ms) => waited(ms, signal)))(seconds * 1000);
  }

  #fetchFor(asked: Asked): typeof fetch {
    return (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      // Lists and such are short: one that was cut off is asked for anew.
      return this.#ask(
        asked,
        url,
        init,
        async (response) =>
          response.ok ? new Response(await response.arrayBuffer(), response) : response,
      );
    };
  }

  /** @param take what of an answer has to come before it counts as one. */
  async #ask(asked: Asked, url: URL, init: RequestInit = {}, take: Take): Promise<Response> {
    const { token } = this.#hub;
    const headers = new Headers(init.headers);
    // Further pages of a list, and places for uploads, may be anybody's.
    if (url.origin !== new URL(this.endpoint).origin) headers.delete("authorization");
    for (let attempts = 1;; attempts++) {
      const response = await this.#answer(asked, url, { ...init, headers }, take, attempts);
      if (response?.ok) return response;
      const pause = response ? pauseAskedFor(response.headers) : null;
      if (response) {
        const error = refusal(asked, response, { endpoint: this.endpoint, token, attempts, pause });
        await response.body?.cancel();
        const isFinal = attempts === ATTEMPTS || (pause ?? 0) > MAX_PAUSE;
        if (isFinal || !BUSY.includes(response.status)) throw error;
      }
      await this.pause(attempts, pause ?? undefined);
    }
  }

  /** The answer to one request; null where there was none and another may have one. */
  async #answer(asked: Asked, url: URL, init: RequestInit, take: Take, attempts: number) {
    const { signal, fetch: ask = fetch } = this.#hub;
    const method = init.method ?? "GET";
    const stop = new AbortController();
    // What is sent may take long; what is to be read begins soon.
    const timer = method === "GET" ? setTimeout(() => stop.abort(), this.silence) : undefined;
    const signals = [init.signal ?? [], signal ?? [], stop.signal].flat();
    try {
      const response = await ask(url, { ...init, signal: AbortSignal.any(signals) });
      this.#wasReached = true;
      return await take(response);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof HubError || init.signal?.aborted) throw error;
      // Nobody knows what became of what was posted.
      const mayRepeat = this.#wasReached && method !== "POST" && attempts < ATTEMPTS;
      if (mayRepeat) return null;
      const reason = stop.signal.aborted ? "there was no answer" : error;
      throw unreachable(asked, this.endpoint, reason);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Waits, unless there is no need to any more. */
async function waited(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, { signal });
}

/** Seconds that an answer asks to wait, by `Retry-After` or as the hub writes it in `RateLimit`. */
function pauseAskedFor(headers: Headers): number | null {
  const after = headers.get("retry-after");
  const reset = /(?:^|;)\s*t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  const seconds = after === null ? Number(reset ?? NaN) : Number(after);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(after ?? "");
  return Number.isNaN(date) ? null : Math.max(0, (date - Date.now()) / 1000);
}
