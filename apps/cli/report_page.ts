import { writeTextFileAtomically } from "@lopper/model-io/files";
import { join } from "node:path";
import { readReportRun } from "./report_files.ts";
import { FILES } from "./run_files.ts";

/**
 * Writes the page of a finished run into its folder, from the files there.
 * @returns its path.
 */
export async function writeReport(folder: string): Promise<string> {
  const out = join(folder, FILES.report);
  await writeTextFileAtomically(out, await reportPage(folder));
  return out;
}

/** The page of a finished run. The engine that draws is loaded here: few commands have a use for it. */
export async function reportPage(folder: string): Promise<string> {
  const [{ runReport }, run] = await Promise.all([
    import("@lopper/report"),
    readReportRun(folder),
  ]);
  return await runReport(run);
}
