import { CheckpointFormatError } from "@lopper/core";
import { type MessageThread, openThread } from "@lopper/threads";
import type { EngineFiles } from "./engine.ts";
import type { Answer, Request } from "./protocol.ts";

/**
 * Milliseconds of work without an answer after which a thread is given up; a text of usual length
 * takes a thousandth.
 */
const SILENCE_MS = 6000;
/**
 * For a thread to begin, on a machine that does much else: nothing of the model has a part in it.
 */
const BEGIN_MS = 30_000;
const TICK_MS = 250;
/** A thread that does not compute at all, since others do, is given up so many times later. */
const MIN_SHARE = 1 / 100;
/** Bundled, it is JavaScript like the rest. */
const MODULE = new URL(
  import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js",
  import.meta.url,
);

interface Pending {
  readonly request: Request;
  resolve(done: Int32Array | string | null): void;
  reject(error: Error): void;
}

type Unnumbered<T> = T extends unknown ? Omit<T, "id"> : never;

/** The thread of a tokenizer, and who waits for it. */
export class TokenizerThread implements Disposable {
  readonly #file: string;
  readonly #silence: number;
  readonly #thread: Promise<MessageThread>;
  /** In the order in which they are done: the first is at work. */
  readonly #pending = new Map<number, Pending>();
  #unsent: Request[] = [];
  #last = 0;
  #ended: Error | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Milliseconds of work since the thread was last heard, and those that it may take. */
  #silent = 0;
  #limit: number;

  private constructor(file: string, silenceMs: number) {
    this.#file = file;
    this.#silence = silenceMs;
    this.#limit = BEGIN_MS;
    this.#thread = openThread(MODULE, {
      onMessage: (data) => this.#hear(data as Answer),
      onError: (message) => this.#end(`its thread ended (${message})`),
    });
  }

  /**
   * @param file the name of the tokenizer in messages.
   * @param silenceMs how long it may be silent.
   * @throws {CheckpointFormatError} when the files make no tokenizer.
   */
  static async open(
    files: EngineFiles,
    file: string,
    silenceMs = SILENCE_MS,
  ): Promise<TokenizerThread> {
    const thread = new TokenizerThread(file, silenceMs);
    try {
      await thread.ask({ open: files });
      return thread;
    } catch (error) {
      thread[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * @throws {CheckpointFormatError} when the thread fails, or is silent for too long; it is of no
   * use then.
   */
  ask(request: Unnumbered<Request>): Promise<Int32Array | string | null> {
    if (this.#ended) return Promise.reject(this.#ended);
    const numbered: Request = { ...request, id: this.#last++ };
    // What is asked at once is sent at once.
    if (this.#unsent.length === 0) queueMicrotask(() => this.#send());
    this.#unsent.push(numbered);
    return new Promise((resolve, reject) => {
      this.#pending.set(numbered.id, { request: numbered, resolve, reject });
      this.#timer ??= this.#watch();
    });
  }

  [Symbol.dispose]() {
    this.#end("it was closed");
  }

  #send() {
    const requests = this.#unsent;
    this.#unsent = [];
    this.#thread.then((thread) => {
      if (!this.#ended) thread.postMessage(requests);
    }, (error) => this.#end(`its thread did not begin (${error})`));
  }

  #hear(answer: Answer) {
    this.#silent = 0;
    this.#limit = this.#silence;
    if ("more" in answer) {
      this.#limit += answer.more;
      return;
    }
    const pending = this.#pending.get(answer.id);
    if (!pending) return;
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#rest();
    if ("done" in answer) pending.resolve(answer.done);
    else pending.reject(this.#error(answer.problem, pending.request));
  }

  #watch() {
    let before = performance.now(), computedBefore = computedMs();
    this.#silent = 0;
    return setInterval(() => {
      const [now, computed] = [performance.now(), computedMs()];
      // While this thread itself was busy, or the machine asleep, nothing could be heard.
      const passed = Math.min(now - before, 2 * TICK_MS);
      this.#silent += Math.max(MIN_SHARE * passed, Math.min(passed, computed - computedBefore));
      [before, computedBefore] = [now, computed];
      if (this.#silent > this.#limit) this.#giveUp();
    }, Math.min(TICK_MS, this.#silence / 4));
  }

  #rest() {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #giveUp() {
    const [first] = this.#pending.values();
    const seconds = (this.#silent / 1000).toFixed(0);
    const error = this.#error(
      `no end after ${seconds} s; its patterns or normalizers find none on such text`,
      first.request,
    );
    this.#end(error);
  }

  #end(reason: string | Error) {
    if (this.#ended) return;
    this.#ended = reason instanceof Error
      ? reason
      : new CheckpointFormatError(reason, { file: this.#file });
    this.#rest();
    this.#thread.then((thread) => thread.terminate(), () => {});
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
  }

  #error(problem: string, request: Request): CheckpointFormatError {
    return new CheckpointFormatError(describe(problem, request), { file: this.#file });
  }
}

/**
 * Milliseconds that all threads of this process have computed, or, in a browser, which does not
 * say, those that went by.
 */
function computedMs(): number {
  const { process } = globalThis as {
    readonly process?: {
      readonly cpuUsage?: () => { readonly user: number; readonly system: number };
    };
  };
  if (!process?.cpuUsage) return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Characters of a text that a message shows. */
const SHOWN = 40;

function describe(problem: string, request: Request): string {
  if ("open" in request) {
    return `it cannot be used as a tokenizer (${problem}); Lopper needs a tokenizer.json as the tokenizers library writes it`;
  }
  if ("decode" in request) return `decoding ${request.decode.length} tokens failed: ${problem}`;
  const { length } = request.encode;
  const shown = JSON.stringify(request.encode.slice(0, SHOWN));
  const text = length <= SHOWN ? shown : `${length} characters from ${shown} on`;
  return `encoding ${text} failed: ${problem}`;
}
