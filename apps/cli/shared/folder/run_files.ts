import { RunFolderError } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import { codeOf, isMissing, readInput, readInputIfThere } from "@lopper/files";
import {
  parseRunRecord,
  parseRunSettings,
  PLAN_FILES,
  RECORD_FILE,
  type RunRecord,
  type RunSettings,
  STATE_FILES,
} from "@lopper/run";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** Files that a run writes into its folder besides the checkpoint. */
export const FILES = {
  ...STATE_FILES,
  ...PLAN_FILES,
  record: RECORD_FILE,
  report: "report.html",
} as const;

/**
 * The record of the finished run in a folder.
 * @throws {RunFolderError} when there is none, or a damaged one.
 */
export async function readRecord(folder: string): Promise<RunRecord> {
  const file = join(folder, FILES.record);
  const text = await readInputIfThere(file, INPUTS.record);
  if (text === null) throw await explainMissing(folder);
  return await parseRunRecord(text, file);
}

/**
 * What the run in a folder was begun with.
 * @throws {ResumeError} when the file was changed or is of another version.
 */
export async function readSettings(folder: string): Promise<RunSettings> {
  const file = join(folder, FILES.settings);
  return await parseRunSettings(await readInput(file, INPUTS.settings), file);
}

async function explainMissing(folder: string): Promise<RunFolderError> {
  let names: readonly string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (!isMissing(error)) throw error;
    const problem = codeOf(error) === "ENOENT"
      ? "there is no such folder"
      : "this is a file, and a run is a folder";
    return new RunFolderError(`${folder}: ${problem}`, { cause: error });
  }
  const problem = names.includes(FILES.settings)
    ? `the run in it is not finished (prune --resume --out ${folder} finishes it)`
    : `there is no ${FILES.record} in it, so it holds no run of Lopper`;
  return new RunFolderError(`${folder}: ${problem}`);
}
