import type { Architecture } from "@lopper/core";
import { DEMO_MLP_GROUPS, DEMO_SAMPLES, DEMO_SEQUENCE_LENGTH } from "@lopper/demo-model";
import { type GivenRunOptions, MIX, type RunFlags, runFlags, USUAL_CALIBRATION } from "@lopper/run";

/** What the embedded model usually takes. */
export const EMBEDDED = {
  samples: DEMO_SAMPLES,
  sequenceLength: DEMO_SEQUENCE_LENGTH,
  mlpGroups: DEMO_MLP_GROUPS,
};

/**
 * All settings of a run: what was given, else what the run to resume was begun with, else the
 * defaults.
 * @param source by what the model is found again from any folder, or null for the embedded one.
 * @throws {UsageError} when two options contradict each other.
 */
export function resolveFlags(
  options: Partial<GivenRunOptions>,
  source: string | null,
  architecture: Architecture,
  saved: RunFlags | undefined,
): RunFlags {
  const isOwnText = (options.calibration ?? saved?.calibration ?? null) !== null;
  const { samples, ...length } = EMBEDDED;
  const usual = { ...length, ...(!isOwnText && { samples }) };
  // Runs of before there was a mix of texts say nothing of theirs, and go on with books.
  const isBrought = source !== null && !saved;
  const calibration = options.calibration ?? (isBrought ? USUAL_CALIBRATION : undefined);
  const heldOut = options.heldOut ?? (isBrought ? MIX : undefined);
  return runFlags(architecture, { ...options, calibration, heldOut, model: source }, {
    saved,
    isApplied: options.plan !== undefined,
    usual: source === null ? usual : undefined,
  });
}
