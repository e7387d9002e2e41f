import type { ModelSpec } from "@lopper/core";
import { DEMO_SAMPLES, DEMO_SEQUENCE_LENGTH } from "@lopper/demo-model";
import { type RunFlags, runFlags } from "@lopper/run";
import { calibrationFlag } from "./calibration_parts.ts";
import { userPath } from "../inputs/paths.ts";
import { exportFlags } from "./prune_export.ts";
import type { PruneOptions } from "./prune_options.ts";

/**
 * All settings of a run: what was given, else what the run to resume was begun with, else the defaults.
 * @param source path of the model, or null for the embedded one.
 * @throws {UsageError} when two options contradict each other.
 */
export function resolveFlags(
  options: PruneOptions,
  source: string | null,
  spec: ModelSpec,
  saved: RunFlags | undefined,
): RunFlags {
  const isEmbedded = source === null;
  const isOwnText = (options.calibration ?? saved?.calibration ?? null) !== null;
  return runFlags(spec, {
    ...settingsIn(options),
    model: absolute(source),
    calibration: calibrationFlag(options.calibration),
    calibrationWidth: calibrationFlag(options.calibrationWidth),
    heldOut: absolute(options.heldOut ?? saved?.heldOut ?? null),
    export: exportFlags(options, saved?.export),
  }, {
    saved,
    isApplied: options.plan !== undefined,
    usual: isEmbedded
      ? { samples: isOwnText ? undefined : DEMO_SAMPLES, sequenceLength: DEMO_SEQUENCE_LENGTH }
      : undefined,
  });
}

/** Options that are settings as they are. */
function settingsIn(options: PruneOptions): Partial<RunFlags> {
  const { ratio, targetLatency, preset, distribution, mlpGroup, attentionGroup } = options;
  const { order, recover, swap, criterion, search, fastWithout, maxPplIncrease } = options;
  const { samples, widthSamples, seqLen, seed, bestEffort, uniform } = options;
  return {
    ...{ ratio, targetLatency, preset, distribution, mlpGroup, attentionGroup },
    ...{ order, recover, swap, criterion, search, fastWithout, maxPplIncrease },
    ...{ samples, widthSamples, seqLen, seed, bestEffort, uniform },
  };
}

/** Paths are recorded in full, so that a run can be resumed from any folder. */
function absolute(path: string | null): string | null {
  return path === null ? null : userPath(path);
}
