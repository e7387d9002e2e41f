import { formatRatio, UsageError } from "@lopper/core";
import { isFolder } from "@lopper/files";
import { checkFormatOptions } from "@lopper/exports";
import { checkParts } from "@lopper/options";
import { type GivenRunOptions, RUN_OPTIONS, type RunFlags, type RunRecord } from "@lopper/run";
import { readRecord } from "../shared/folder/run_files.ts";
import type { RunFolder } from "../shared/folder/run_folder.ts";

/** @throws {UsageError} when options contradict each other, whatever the run. */
export function checkTogether(options: GivenRunOptions) {
  checkParts(RUN_OPTIONS, options);
  if (options.export !== undefined) checkFormatOptions(options.export, options, "--export");
  if (options.imatrix !== undefined && options.export !== "gguf") {
    throw new UsageError(
      `--imatrix goes with --export gguf, and it is --export ${options.export ?? "none"}`,
    );
  }
  if (options.targetBytes !== undefined && (options.ratio !== undefined || options.resume)) {
    throw new UsageError(
      options.resume
        ? "--target-bytes begins a run; to take one further, pass --resume with --ratio"
        : "--ratio and --target-bytes both say where the search ends; leave out one",
    );
  }
  if (options.dryRun && options.resume) {
    throw new UsageError("--dry-run rehearses a new run; leave out --resume");
  }
  checkTargetLatency(options);
  if (options.plan !== undefined && options.maxPplIncrease !== undefined) {
    throw new UsageError("--max-ppl-increase ends a search, and --plan has none; leave out one");
  }
  if (options.plan !== undefined && options.uniform) {
    throw new UsageError("--uniform is for a search, and --plan has none; leave out one");
  }
  if (options.plan !== undefined && options.swap === "auto") {
    throw new UsageError("--swap auto follows a search, and --plan has none; leave out one");
  }
}

/** @throws {UsageError} when other options contradict --target-latency. */
function checkTargetLatency({ targetLatency, ratio, targetBytes, resume, plan }: GivenRunOptions) {
  if (targetLatency === undefined) return;
  if (resume) {
    throw new UsageError(
      "--target-latency begins a run, and one that goes on keeps its own; leave it out",
    );
  }
  if (plan !== undefined) {
    throw new UsageError("--target-latency is for a search, and --plan has none; leave out one");
  }
  if (ratio !== undefined || targetBytes !== undefined) {
    const other = ratio !== undefined ? "--ratio" : "--target-bytes";
    throw new UsageError(
      `${other} and --target-latency both say where the search ends; leave out one`,
    );
  }
}

/**
 * A run that applies a plan goes on with the one that it began with.
 * @throws {UsageError} when another is asked for, or one for a run that searches.
 */
export function withPlanOf(
  { settings, path }: RunFolder,
  options: GivenRunOptions,
): GivenRunOptions {
  if (settings === null) return options;
  if (settings.plan === undefined) {
    if (options.plan === undefined) return options;
    throw new UsageError(
      `the run in ${path} searches, and --plan has no search; leave out --plan, or choose another --out`,
    );
  }
  const { source } = settings.plan;
  const ratio = settings.plan.ratio ?? undefined;
  if ((options.plan ?? source) !== source || (options.ratio ?? ratio) !== ratio) {
    throw new UsageError(
      `the run in ${path} applies ${source}${
        ratio === undefined ? "" : ` at ${formatRatio(ratio)}`
      }; another --plan or --ratio needs a run of its own`,
    );
  }
  return { ...options, plan: source, ratio };
}

/**
 * The record of the run in a folder where all that is asked for is done already; null where there
 * is something to do.
 * @throws {UsageError} when the run that goes on is asked to end elsewhere than it can.
 */
export async function finishedRun(
  folder: RunFolder,
  options: GivenRunOptions,
): Promise<RunRecord | null> {
  const { settings, path } = folder;
  if (options.ratio !== undefined && (settings?.flags.targetLatency ?? null) !== null) {
    throw new UsageError(
      `the run in ${path} ends at a latency, and --ratio takes it no further; leave out --ratio, or begin another run`,
    );
  }
  const finished = options.resume ? await folder.record() : null;
  if (!finished || !settings || options.ratio === undefined) return finished;
  if (options.ratio < finished.flags.ratio) {
    throw new UsageError(
      `${path} holds a run that reached ${
        formatRatio(finished.flags.ratio)
      }; --ratio ${options.ratio} needs a run of its own`,
    );
  }
  return options.ratio > finished.flags.ratio ? null : finished;
}

/**
 * What a part of a run has in common with it: the texts, and whether it is refitted. A file says
 * nothing of that.
 */
export async function flagsOfPlan(plan: string | undefined): Promise<RunFlags | undefined> {
  if (plan === undefined || !await isFolder(plan)) return undefined;
  const { flags, ratio } = await readRecord(plan);
  const unexported = { export: null, dtype: null, quantize: null, rounding: null };
  const applied = { ...flags, earlierRatios: [], ...unexported };
  // A plan is a part of the parameters, whatever the run was after.
  return flags.targetLatency === null ? applied : { ...applied, targetLatency: null, ratio };
}
