import { LopperError, UnsupportedOpError } from "@lopper/core";
import { type MessageThread, openThread } from "@lopper/threads";
import type { EngineAnswer, EngineRequest, Fetches } from "./protocol.ts";

/** The thread of an engine ended by itself. */
export class EngineLostError extends LopperError {
  /** @param backend its name. */
  constructor(backend: string, reason: string) {
    super(
      `an engine of backend ${backend} ended while it computed (${reason}); with fewer --threads it has more memory`,
    );
  }
}

interface Pending {
  resolve(fetches: Fetches): void;
  reject(error: Error): void;
}

/** Starts the thread of an engine. */
export type StartThread = typeof openThread;

/** Bundled, it is JavaScript like the rest. */
const MODULE = new URL(
  import.meta.url.endsWith(".ts") ? "./engine_worker.ts" : "./engine_worker.js",
  import.meta.url,
);

/** An engine in a thread of its own, and who waits for it. */
export class Engine implements Disposable {
  readonly #name: string;
  /** Settles when the thread can be written to, or never will. */
  readonly started: Promise<void>;
  #thread: MessageThread | null = null;
  #unsent: (() => void)[] = [];
  /** In the order in which they are answered. */
  #pending: Pending[] = [];
  #ended: Error | null = null;

  /** @param name of the backend, in messages. */
  constructor(name: string, start: StartThread = openThread) {
    this.#name = name;
    const opening = start(MODULE, {
      onMessage: (data) => this.#hear(data as EngineAnswer),
      onError: (message) => this.#end(new EngineLostError(name, message)),
    });
    this.started = opening.then(
      (thread) => this.#begin(thread),
      (error) => this.#end(new EngineLostError(name, String(error))),
    );
  }

  /**
   * @param transfer buffers that the engine takes over.
   * @throws {UnsupportedOpError} when it has no kernel for a node of a graph.
   * @throws {EngineLostError} when its thread ends before it answers.
   */
  ask(request: EngineRequest, transfer: readonly ArrayBuffer[] = []): Promise<Fetches> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      const send = () => this.#thread!.postMessage(request, transfer);
      if (this.#thread) send();
      else this.#unsent.push(send);
    });
  }

  [Symbol.dispose]() {
    this.#end(new TypeError("the engine was closed"));
  }

  #begin(thread: MessageThread) {
    if (this.#ended) return thread.terminate();
    this.#thread = thread;
    for (const send of this.#unsent) send();
    this.#unsent = [];
  }

  #hear(answer: EngineAnswer) {
    const pending = this.#pending.shift();
    if ("fetches" in answer) pending?.resolve(answer.fetches);
    else if ("problem" in answer) pending?.reject(new Error(answer.problem));
    else {
      const { op, dtype } = answer.unsupported;
      pending?.reject(new UnsupportedOpError(this.#name, op, dtype));
    }
  }

  #end(reason: Error) {
    if (this.#ended) return;
    this.#ended = reason;
    this.#thread?.terminate();
    for (const { reject } of this.#pending) reject(reason);
    this.#pending = [];
  }
}
