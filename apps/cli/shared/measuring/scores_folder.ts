import { seal, UsageError } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import { type FolderLock, writeTextFileAtomically } from "@lopper/files";
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { EvaluationLog } from "./evaluation_log.ts";
import { removePartials } from "../folder/next_result.ts";
import { lockFolder } from "../folder/own_folder.ts";
import { ownRecord } from "../folder/replaceable.ts";

/** What a folder of scores ends with. */
export interface Outcome {
  readonly file: string;
  /** Its field of that name. */
  readonly kind: string;
}

/**
 * The folder that evaluate and compare keep scores in, and their result; without --out, nothing is
 * kept.
 */
export class ScoresFolder {
  readonly log: EvaluationLog;
  readonly #result: string | null;

  readonly #lock: FolderLock | null;

  private constructor(log: EvaluationLog, result: string | null, lock: FolderLock | null) {
    this.log = log;
    this.#result = result;
    this.#lock = lock;
  }

  /**
   * Opens the folder that --out names, new or not, for this process alone.
   * @param warn hears that nothing keeps others out.
   * @throws {UsageError} when the result would replace a file that is none.
   * @throws {ResumeError} when the scores in it are something else.
   */
  static async open(
    path: string | undefined,
    { file, kind }: Outcome,
    warn: (message: string) => void,
  ): Promise<ScoresFolder> {
    if (path === undefined) return new ScoresFolder(EvaluationLog.none(), null, null);
    const lock = await lockFolder(path, warn);
    try {
      const result = join(path, file);
      await checkResult(result, kind);
      await removePartials(path);
      const log = await EvaluationLog.open(join(path, "scores.jsonl"));
      return new ScoresFolder(log, result, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** What becomes of scores when a command is stopped. */
  get hint(): string {
    return this.#result === null
      ? "stopped; nothing is kept without --out"
      : "stopped; what was scored is kept, the same command goes on";
  }

  async writeResult(record: object): Promise<void> {
    if (this.#result === null) return;
    const text = JSON.stringify(await seal(record), null, 2) + "\n";
    await writeTextFileAtomically(this.#result, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.log.close();
    await this.#lock?.release();
  }
}

/** @throws {UsageError} when something stands where the result goes that is none. */
async function checkResult(file: string, kind: string): Promise<void> {
  const isThere = await lstat(file).then(() => true, () => false);
  if (!isThere || await ownRecord(file, INPUTS.comparison, kind)) return;
  throw new UsageError(
    `${file} is no result of Lopper's, so nothing replaces it; choose another --out`,
  );
}
