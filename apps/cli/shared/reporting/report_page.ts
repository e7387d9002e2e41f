import { INPUTS } from "@lopper/core";
import { openInput, writeTextFileAtomically } from "@lopper/files";
import { join } from "node:path";
import { readReportRun } from "./report_files.ts";
import { FILES } from "../folder/run_files.ts";

/** The first bytes of a page, with its line about who made it. */
const HEAD_BYTES = 4096;

/** Whether a file is a page that Lopper wrote. */
export async function isReportPage(path: string): Promise<boolean> {
  const source = await openInput(path, INPUTS.page);
  try {
    const head = await source.read(0, Math.min(HEAD_BYTES, source.size));
    const text = new TextDecoder().decode(head);
    return text.includes('<meta name="generator" content="Lopper ');
  } finally {
    source.close();
  }
}

/**
 * Writes the page of a finished run into its folder, from the files there.
 * @returns its path.
 */
export async function writeReport(folder: string): Promise<string> {
  const out = join(folder, FILES.report);
  await writeTextFileAtomically(out, await reportPage(folder));
  return out;
}

/** The page of several finished runs. */
export async function overlayPage(folders: readonly string[]): Promise<string> {
  const [{ overlayReport }, runs] = await Promise.all([
    import("@lopper/report"),
    Promise.all(folders.map((folder) => readReportRun(folder))),
  ]);
  // Runs in folders of the same name are told apart by their paths.
  const names = runs.map(({ name }) => name);
  return await overlayReport(
    runs.map((run, i) =>
      names.filter((name) => name === run.name).length > 1 ? { ...run, name: folders[i] } : run
    ),
  );
}

/**
 * The page of a finished run. The engine that draws is loaded here: few commands have a use for it.
 * @param scores folder of a comparison of the run's result with its dense model, if there is one.
 */
export async function reportPage(folder: string, scores?: string): Promise<string> {
  const [{ runReport }, run] = await Promise.all([
    import("@lopper/report"),
    readReportRun(folder, scores),
  ]);
  return await runReport(run);
}
