import { AppendFile, codeOf } from "@lopper/files";
import { RunJournal, type RunSettings } from "@lopper/run";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { FILES, readSettings } from "./run_files.ts";

/**
 * The journal of the run in a folder; null where there is none.
 * @throws {ResumeError} when it, or the settings that it belongs to, were changed.
 */
export async function readJournal(folder: string): Promise<RunJournal | null> {
  const there = await stat(join(folder, FILES.journal)).then(() => true, (error) => {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  });
  return there ? await journalOf(folder, await readSettings(folder)) : null;
}

/** The journal of a run with these settings, which has no lines where there is no file yet. */
export async function journalOf(folder: string, settings: RunSettings): Promise<RunJournal> {
  const file = join(folder, FILES.journal);
  return await RunJournal.read(file, (await AppendFile.readLines(file)).lines, settings);
}
