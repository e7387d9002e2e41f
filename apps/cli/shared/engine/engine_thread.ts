import type { BackendName } from "@lopper/backends";
import { LopperError } from "@lopper/core";
import { type MessageThread, openThread } from "@lopper/threads";
import { type Answer, type Named, readWork, WorkerGoneError } from "@lopper/workers";
import type { RunWorker } from "../redis/serve.ts";

/** Bundled, it is JavaScript like the rest. */
const MODULE = new URL(
  import.meta.url.endsWith(".ts") ? "./scoring_worker.ts" : "./scoring_worker.js",
  import.meta.url,
);

/** What a thread works with. */
export interface EngineOptions {
  /** Of the model; null for the embedded one. */
  readonly path: string | null;
  readonly title: string;
  readonly backend: BackendName | "auto";
  readonly threads: number | undefined;
  readonly memory: string | undefined;
  /** Of that memory it may take one part in so many. */
  readonly share: number;
  /** Of the model, where it is known. */
  readonly modelDigest: string | null;
}

/** What a thread is told, and what it says. */
export type ToEngine =
  | { readonly type: "open"; readonly options: EngineOptions; readonly setup: Named }
  | { readonly type: "work"; readonly id: number; readonly job: Named }
  | { readonly type: "text"; readonly id: number; readonly text: string | null };
export type FromEngine =
  | { readonly type: "opened"; readonly modelDigest: string }
  | { readonly type: "answer"; readonly id: number; readonly text: string }
  | { readonly type: "needs"; readonly id: number; readonly name: string }
  | { readonly type: "failed"; readonly id: number | null; readonly message: string };

/**
 * A model in a thread of its own, so that what keeps the work ours goes on while it computes:
 * locks are renewed, and others hear that we are there.
 */
export class EngineThread implements RunWorker {
  readonly #thread: MessageThread;
  readonly #jobs = new Map<number, {
    readonly answer: PromiseWithResolvers<Answer>;
    readonly kept: (name: string) => Promise<string>;
  }>();
  #next = 0;
  /** Why it does nothing any more. */
  #ended: Error | null = null;

  private constructor(thread: MessageThread) {
    this.#thread = thread;
  }

  /**
   * Loads the model for a run.
   * @throws {LopperError} when it is not the run's, or does not fit.
   */
  static async open(
    options: EngineOptions,
    setup: Named,
  ): Promise<{ readonly engine: EngineThread; readonly modelDigest: string }> {
    const opened = Promise.withResolvers<string>();
    let engine: EngineThread | null = null;
    const thread = await openThread(MODULE, {
      onMessage: (data) => {
        const message = data as FromEngine;
        if (message.type === "opened") opened.resolve(message.modelDigest);
        else if (message.type === "failed" && message.id === null) {
          opened.reject(new LopperError(message.message));
        } else engine!.#hear(message);
      },
      onError: (message) => {
        const error = new WorkerGoneError(`the engine's thread ended: ${message}`);
        opened.reject(error);
        if (engine) engine.#end(error);
      },
    });
    engine = new EngineThread(thread);
    engine.#post({ type: "open", options, setup });
    try {
      return { engine, modelDigest: await opened.promise };
    } catch (error) {
      thread.terminate();
      throw error;
    }
  }

  work(job: Named, kept: (name: string) => Promise<string>): Promise<Answer> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#next++;
    const answer = Promise.withResolvers<Answer>();
    this.#jobs.set(id, { answer, kept });
    this.#post({ type: "work", id, job });
    return answer.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#thread.terminate();
    this.#end(new WorkerGoneError("the worker ended"));
    return Promise.resolve();
  }

  #hear(message: FromEngine) {
    if (message.type === "opened" || message.id === null) return;
    const job = this.#jobs.get(message.id);
    if (!job) return;
    if (message.type === "needs") {
      const { id } = message;
      job.kept(message.name).catch(() => null).then((text) =>
        this.#post({ type: "text", id, text })
      );
      return;
    }
    this.#jobs.delete(message.id);
    if (message.type === "answer") job.answer.resolve(readWork("answer", message.text));
    else job.answer.reject(new LopperError(message.message));
  }

  #end(error: Error) {
    this.#ended ??= error;
    for (const { answer } of this.#jobs.values()) {
      answer.promise.catch(() => {});
      answer.reject(error);
    }
    this.#jobs.clear();
  }

  #post(message: ToEngine) {
    this.#thread.postMessage(message);
  }
}
