import { type StopSignal, UsageError } from "@lopper/core";
import {
  checkFormat,
  EXPORT_FORMATS,
  type ExportRecord,
  formatFacts,
  type FormatOptions,
} from "@lopper/exports";
import { type Model, openModel } from "@lopper/models";
import { FileFolder, FolderLock, isFile, SourceWatch } from "@lopper/files";
import {
  calibrationOf,
  type ExportFlags,
  exportOf,
  type GivenRunOptions,
  MIX,
  type RunFlags,
  type RunRecord,
  SELF,
} from "@lopper/run";
import { basename } from "node:path";
import { checkApart } from "../shared/folder/apart.ts";
import { ExportFolder, type Replacing } from "../shared/exporting/export_folder.ts";
import { exportInto } from "../shared/exporting/export_into.ts";
import { roundingText } from "../shared/exporting/rounding_text.ts";
import { importanceSource, quantisedSource } from "../shared/exporting/quantised_source.ts";
import type { Interruption } from "../shared/terminal/interrupt.ts";
import type { Reporter } from "../shared/terminal/reporter.ts";
import { withWayOn } from "../shared/terminal/way_on.ts";
import { checkUnchanged } from "../shared/inputs/source_check.ts";
import { commandLine } from "../called_as.ts";

/** The export that the options ask for, else the one that the run was begun with. */
export function exportAsked(options: GivenRunOptions, saved: RunFlags): ExportFlags | null {
  const { export: format, dtype = null, quantize = null, rounding = null } = options;
  return format === undefined ? exportOf(saved) : { format, dtype, quantize, rounding };
}

/** Where a run's result is exported to: beside it, each kind of export in a place of its own. */
export function exportPath(
  out: string,
  { format, dtype, quantize, rounding }: ExportFlags,
): string {
  const own = rounding === "gptq" ? rounding : null;
  return [out.replace(/[\\/]+$/, ""), format, quantize ?? dtype, own]
    .filter((part) => part !== null).join("-");
}

/**
 * @param source where the model lies.
 * @throws {UsageError} when something stands where the export goes that is not to be replaced.
 */
export async function checkPlace(
  flags: ExportFlags | null,
  out: string,
  options: GivenRunOptions,
  source?: string,
): Promise<void> {
  if (!flags) return;
  const path = exportPath(out, flags);
  if (source !== undefined) await checkApart(path, source);
  await FolderLock.check(path);
  await ExportFolder.checkPlace(path, replacing(out, options));
}

/** When a run goes on, exports of its own earlier results make room; a rehearsal writes nothing. */
function replacing(out: string, { overwrite, resume }: GivenRunOptions): Replacing {
  return { overwrite, of: resume ? basename(out) : undefined };
}

/**
 * Refuses before the work what could not be exported after it.
 * @throws {UsageError} when the place is taken, or pruning makes of the model what the format
 *   cannot hold.
 * @throws {ExportError} when the format does not take the model, whatever is pruned.
 */
export async function checkExport(
  flags: ExportFlags | null,
  { model, source, out, options, uniform }: {
    model: Model;
    /** Where it lies. */
    source: string;
    out: string;
    options: GivenRunOptions;
    uniform: boolean;
  },
): Promise<void> {
  if (!flags) return;
  await checkPlace(flags, out, options, source);
  const format = EXPORT_FORMATS[flags.format];
  // What a plan leaves is not known here, and --uniform leaves layers alike.
  const clause = options.plan === undefined && !uniform ? format.refusesDiffering?.(model) : null;
  if (clause) {
    throw new UsageError(
      `--export ${flags.format} does not go with this model: ${clause}, which ${
        formatFacts(flags.format).readers
      } computes ` +
        "where all layers are alike only, and pruning makes them differ; choose safetensors or onnx, or prune --uniform",
    );
  }
  await checkFormat(flags.format, model, formatOptions(flags));
  // A file that is no importance matrix is found out before the work.
  if (options.imatrix !== undefined) await importanceSource(options.imatrix, out);
}

export interface PruneExport {
  /** The folder of the run. */
  readonly out: string;
  readonly flags: ExportFlags;
  /** What is known of the result. */
  readonly record: RunRecord;
  readonly options: GivenRunOptions;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
}

export interface ExportResult {
  readonly path: string;
  readonly record: ExportRecord;
}

/**
 * Exports the result of a run as `lopper export` does; one that stands there already is not made
 * again.
 */
export async function exportResult(run: PruneExport): Promise<ExportResult> {
  const { out, flags, options, reporter } = run;
  const path = exportPath(out, flags);
  const earlier = await ExportFolder.record(path);
  if (earlier && isExportOf(run, earlier)) return { path, record: earlier };
  const again = [
    `--export ${flags.format}`,
    flags.dtype && `--dtype ${flags.dtype}`,
    flags.quantize && `--quantize ${flags.quantize}`,
    flags.rounding && `--rounding ${flags.rounding}`,
    options.imatrix && `--imatrix ${options.imatrix}`,
  ].filter(Boolean).join(" ");
  const command = commandLine(`prune --resume --out ${out} ${again}`);
  const signal = run.interruption.saying(
    `stopped; the pruned model is in ${out}, export it with: ${command}`,
  );
  await using folder = await ExportFolder.open(
    path,
    replacing(out, options),
    (message) => reporter.warn(message),
  );
  try {
    // A kill may have come between the last of its files and their place.
    const settled = await ExportFolder.record(path);
    if (settled && isExportOf(run, settled)) return { path, record: settled };
    const record = await writeExport(run, folder, signal);
    signal.throwIfAborted();
    await folder.commit();
    return { path, record };
  } catch (error) {
    throw withWayOn(error, command);
  }
}

async function writeExport(
  { out, flags, options, record, reporter }: PruneExport,
  folder: ExportFolder,
  signal: StopSignal,
): Promise<ExportRecord> {
  const watch = new SourceWatch();
  using model = await openModel(new FileFolder(out, watch));
  // What stays of a GGUF file goes into another one as it is.
  const from = record.flags.model;
  const isGguf = flags.format === "gguf" && from !== null && /\.gguf$/i.test(from);
  using quantised = isGguf && await isFile(from) ? await quantisedSource(from, out) : null;
  const importance = options.imatrix === undefined
    ? null
    : await importanceSource(options.imatrix, out);
  const task = {
    ...{ title: basename(out), to: flags.format },
    options: {
      ...formatOptions(flags),
      ...(quantised && { quantised }),
      ...(importance && { importance }),
    },
  };
  const backend = record.backend.name === "wasm" ? "wasm" : "cpu";
  const engine = { backend, threads: options.threads } as const;
  const calibration = flags.rounding === "gptq"
    ? { ...await roundingText(textOfRun(record.flags), (line) => reporter.note(line)), engine }
    : null;
  return await exportInto(model, task, {
    ...{ folder, reporter, signal, engine, calibration },
    checkSource: (digest) => checkUnchanged(watch, { path: out, title: basename(out) }, digest),
  });
}

/** What the run was calibrated on, as far as that can be read again. */
function textOfRun(flags: RunFlags): readonly string[] {
  const paths = calibrationOf(flags).map(({ path }) => path).filter((path) => path !== SELF);
  return paths.length > 0 ? paths : [MIX];
}

function isExportOf({ flags, record, options }: PruneExport, found: ExportRecord): boolean {
  const hasMatrix = found.files.some((file) => file.endsWith(".imatrix"));
  if (options.imatrix !== undefined && !hasMatrix) return false;
  return found.source.digest === record.prunedDigest && found.format === flags.format &&
    found.dtype === flags.dtype && found.quantize === flags.quantize &&
    (found.rounding?.by ?? "nearest") === (flags.rounding ?? "nearest");
}

function formatOptions({ dtype, quantize, rounding }: ExportFlags): FormatOptions {
  return {
    ...(dtype && { dtype }),
    ...(quantize && { quantize }),
    ...(rounding && { rounding }),
  };
}
