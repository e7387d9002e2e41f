import { LopperError } from "@lopper/core";
import type { Answer } from "./work_schema.ts";

/** A text, and the digest that names it. */
export interface Named {
  readonly name: string;
  readonly text: string;
}

/**
 * Where a run leaves work for others. Nothing depends on what becomes of it there: work may be
 * done twice, late, or by somebody who dies, and only the first answer to a job is heard.
 */
export interface WorkQueue {
  /** Says what all work depends on, before any is asked for. @param setup its text. */
  begin(setup: Named): Promise<void>;
  /** Keeps a text that jobs name. */
  keep(text: Named): Promise<void>;
  /**
   * Has a job done.
   * @param batch jobs of the same one are done by the same worker where they can be, which keeps
   *   block inputs.
   * @returns the first answer.
   */
  ask(job: Named, batch: number): Promise<Answer>;
  /** Says that the run needs no more work. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Who did work is not there any more; others may do it. */
export class WorkerGoneError extends LopperError {}

/** Who does work of one run. */
export interface JobWorker {
  /**
   * Does a job.
   * @param job its text.
   * @param kept finds a text that a job names.
   * @throws {WorkError} when it is none of this run.
   * @throws {WorkerGoneError} when this worker can do none any more.
   */
  work(job: Named, kept: (name: string) => Promise<string>): Promise<Answer>;
}
