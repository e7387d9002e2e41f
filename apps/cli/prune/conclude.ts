import { isFile } from "@lopper/files";
import type { ExportFlags, GivenRunOptions, RunRecord } from "@lopper/run";
import { join } from "node:path";
import { describeExport } from "../shared/exporting/export_output.ts";
import type { Interruption } from "../shared/terminal/interrupt.ts";
import { type ExportResult, exportResult } from "./prune_export.ts";
import { describeResult } from "./prune_output.ts";
import { writeReport } from "../shared/reporting/report_page.ts";
import type { Reporter } from "../shared/terminal/reporter.ts";
import { FILES } from "../shared/folder/run_files.ts";
import { commandLine } from "../called_as.ts";

/** Where a run ends that was not only a rehearsal. */
export interface Finish {
  readonly record: RunRecord;
  readonly exports: ExportFlags | null;
}

interface Concluding extends Finish {
  readonly out: string;
  readonly options: GivenRunOptions;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
}

/**
 * Writes the page, exports the result if that was asked for, and reports: the result, too, where
 * its export fails.
 */
export async function conclude(run: Concluding) {
  const { out, record, exports: flags, reporter } = run;
  const report = await reportResult(out, reporter);
  let exported: ExportResult | null = null;
  try {
    if (flags) exported = await exportResult({ ...run, flags });
  } finally {
    const text = describeResult(record, out, report);
    reporter.result(
      {
        out,
        report,
        ...record,
        ...(exported && { export: { out: exported.path, ...exported.record } }),
      },
      exported ? `${text}\n\n${describeExport(exported.record, exported.path)}` : text,
    );
  }
}

/**
 * Writes the page of a finished run where there is none; null where that fails, which takes nothing
 * from the result.
 */
async function reportResult(out: string, reporter: Reporter): Promise<string | null> {
  const path = join(out, FILES.report);
  if (await isFile(path)) return path;
  try {
    return await writeReport(out);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const command = commandLine(`report ${out}`);
    reporter.warn(`the result is complete, its page is not: ${reason} (${command} tries again)`);
    return null;
  }
}
