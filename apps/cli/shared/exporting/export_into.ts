import type { BackendName } from "@lopper/backends";
import { INPUTS, type StopSignal } from "@lopper/core";
import { HELD_OUT_TEXT } from "@lopper/demo-model";
import {
  exportModel,
  type ExportRecord,
  type ExportTask,
  type RoundingText,
} from "@lopper/exports";
import { readInput } from "@lopper/files";
import type { Model } from "@lopper/models";
import { fileURLToPath } from "node:url";
import { openUserBackend } from "../inputs/open_backend.ts";
import type { Reporter } from "../terminal/reporter.ts";
import type { ExportFolder } from "./export_folder.ts";

/** The engine that verifies an export. */
export interface VerifyingEngine {
  readonly backend: BackendName | "auto";
  readonly threads?: number;
}

/** A text to round by, and the engine that runs the model on it. */
export interface CalibrationText extends Omit<RoundingText, "backend"> {
  readonly engine: VerifyingEngine;
}

export interface ExportWork {
  /** Written and verified beside its place; whoever calls puts it there. */
  readonly folder: ExportFolder;
  /** Null where nothing is to be verified. */
  readonly engine: VerifyingEngine | null;
  /** What matrices are rounded by, if anything. */
  readonly calibration?: CalibrationText | null;
  readonly reporter: Reporter;
  readonly signal: StopSignal;
  readonly checkSource: (digest: string) => Promise<void>;
}

/** Exports a model into a folder, and tells the user of it. @throws as `exportModel`. */
export async function exportInto(
  model: Model,
  task: ExportTask,
  { folder, engine, calibration, reporter, signal, checkSource }: ExportWork,
): Promise<ExportRecord> {
  const running = engine ?? calibration?.engine;
  await using backend = running
    ? await openUserBackend(
      running.backend,
      // A GPU is for searching: exports are read by the engine that everybody has.
      { threads: running.threads, withDevices: false },
      (message) => reporter.say(message),
    )
    : null;
  const text = engine && await readInput(fileURLToPath(HELD_OUT_TEXT), INPUTS.calibration);
  return await exportModel(model, task, {
    store: folder,
    verifier: engine && { backend: backend!, text: text! },
    calibration: calibration ? { ...calibration, backend: backend! } : null,
    signal,
    checkSource,
    onRounded: (done, total) => reporter.progress("rounding", done, total),
    onPhase: (phase) => reporter.say(phase === "writing" ? `writing ${folder.path}` : phase),
  });
}
