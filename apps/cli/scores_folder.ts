import { UsageError } from "@lopper/core";
import { INPUTS } from "@lopper/model-io";
import { writeTextFileAtomically } from "@lopper/model-io/files";
import { join } from "node:path";
import { EvaluationLog } from "./evaluation_log.ts";
import { entriesOfOut } from "./out_entries.ts";
import { userPath } from "./paths.ts";
import { ownRecord } from "./replaceable.ts";

/** What a folder of scores ends with. */
export interface Outcome {
  readonly file: string;
  /** Its field of that name. */
  readonly kind: string;
}

/** The folder that evaluate and compare keep scores in, and their result; without --out, nothing is kept. */
export class ScoresFolder {
  readonly log: EvaluationLog;
  readonly #result: string | null;

  private constructor(log: EvaluationLog, result: string | null) {
    this.log = log;
    this.#result = result;
  }

  /**
   * Opens the folder that --out names, new or not.
   * @throws {UsageError} when the result would replace a file that is none.
   * @throws {ResumeError} when the scores in it are something else.
   */
  static async open(out: string | undefined, { file, kind }: Outcome): Promise<ScoresFolder> {
    if (out === undefined) return new ScoresFolder(EvaluationLog.none(), null);
    const path = userPath(out);
    const result = join(path, file);
    if (
      (await entriesOfOut(path)).includes(file) && !await ownRecord(result, INPUTS.comparison, kind)
    ) {
      throw new UsageError(
        `${result} is no result of Lopper's, so nothing replaces it; choose another --out`,
      );
    }
    await Deno.mkdir(path, { recursive: true });
    return new ScoresFolder(await EvaluationLog.open(join(path, "scores.jsonl")), result);
  }

  async writeResult(record: unknown): Promise<void> {
    if (this.#result === null) return;
    await writeTextFileAtomically(this.#result, JSON.stringify(record, null, 2) + "\n");
  }

  close() {
    this.log.close();
  }
}
