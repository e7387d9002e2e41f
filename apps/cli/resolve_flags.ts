import { longestSequence, type ModelSpec, type RunFlags, UsageError } from "@lopper/core";
import { DEMO_SAMPLES, DEMO_SEQUENCE_LENGTH } from "@lopper/demo-model";
import { DEFAULT_BATCH_TOKENS } from "@lopper/importance";
import {
  AS_IT_IS,
  distribution,
  fixesDistribution,
  RUN_DEFAULTS,
  SETTINGS,
  type SettingsName,
} from "@lopper/run";
import { defaultMlpGroup, headGroupUnit, TECHNIQUES } from "@lopper/search";
import { calibrationFlag } from "./calibration_parts.ts";
import { userPath } from "./paths.ts";
import { exportFlags } from "./prune_export.ts";
import type { PruneOptions } from "./prune_options.ts";

/**
 * All settings of a run: what was given, else what the run to resume was begun with, else the defaults.
 * @throws {UsageError} when two options contradict each other.
 */
export function resolveFlags(
  options: PruneOptions,
  source: string | null,
  spec: ModelSpec,
  saved: RunFlags | undefined,
): RunFlags {
  const embedded = source === null;
  const preset = options.preset ?? (saved?.preset as SettingsName | undefined) ??
    RUN_DEFAULTS.preset;
  const applied = options.plan !== undefined;
  // A plan file is applied as it is, unless more is asked for.
  const settings = applied ? { ...SETTINGS[preset], ...AS_IT_IS } : SETTINGS[preset];
  const samples = embedded && (options.calibration ?? saved?.calibration ?? null) === null
    ? DEMO_SAMPLES
    : settings.samples;
  const targetLatency = options.targetLatency ?? saved?.targetLatency ?? null;
  const shares = options.distribution ?? saved?.distribution ?? settings.distribution;
  const ratio = options.ratio ?? saved?.ratio ?? RUN_DEFAULTS.ratio;
  const search = options.search ?? saved?.search ?? RUN_DEFAULTS.search;
  const swap = options.swap ?? saved?.swap ?? settings.swap;
  const uniform = options.uniform ?? saved?.uniform ?? false;
  checkTogether(options, { preset, shares, swap, uniform, targetLatency });
  return {
    model: absolute(source),
    ratio,
    targetLatency,
    preset,
    distribution: shares,
    mlpGroup: options.mlpGroup ?? saved?.mlpGroup ?? defaultMlpGroup(spec),
    attentionGroup: options.attentionGroup ?? saved?.attentionGroup ?? headGroupUnit(spec),
    recover: options.recover ?? saved?.recover ?? settings.recover,
    order: options.order ?? saved?.order ?? settings.order,
    swap,
    // Runs of before there was a choice do not say.
    criterion: options.criterion ??
      (saved ? saved.criterion ?? SETTINGS.multipruner.criterion : settings.criterion),
    search,
    fastWithout: techniquesOff(options.fastWithout ?? saved?.fastWithout ?? "", search),
    earlierRatios: saved && ratio > saved.ratio
      ? [...saved.earlierRatios, saved.ratio]
      : saved?.earlierRatios ?? [],
    calibration: calibrationFlag(options.calibration) ?? saved?.calibration ?? null,
    calibrationWidth: calibrationFlag(options.calibrationWidth) ?? saved?.calibrationWidth ?? null,
    samples: options.samples ?? saved?.samples ?? samples.block,
    widthSamples: options.widthSamples ?? saved?.widthSamples ?? samples.width,
    seqLen: options.seqLen ?? saved?.seqLen ??
      Math.min(embedded ? DEMO_SEQUENCE_LENGTH : settings.sequenceLength, longestSequence(spec)),
    seed: options.seed ?? saved?.seed ?? RUN_DEFAULTS.seed,
    batchTokens: saved?.batchTokens ?? DEFAULT_BATCH_TOKENS,
    bestEffort: options.bestEffort ?? saved?.bestEffort ?? false,
    uniform,
    export: exportFlags(options, saved?.export),
    heldOut: absolute(options.heldOut ?? saved?.heldOut ?? null),
    maxPplIncrease: options.maxPplIncrease ?? saved?.maxPplIncrease ?? null,
  };
}

/** @throws {UsageError} when two options contradict each other. */
function checkTogether(
  options: PruneOptions,
  { preset, shares, swap, uniform, targetLatency }: {
    readonly preset: SettingsName;
    readonly shares: string;
    readonly swap: string;
    readonly uniform: boolean;
    readonly targetLatency: number | null;
  },
) {
  if (options.distribution !== undefined && fixesDistribution(preset)) {
    throw new UsageError(
      `--preset ${preset} fixes the distribution; leave out --distribution, or the preset`,
    );
  }
  if (distribution(shares) === "auto" && options.calibrationWidth !== undefined) {
    throw new UsageError(
      "--calibration-width is for channels and heads that go one kind after the other, and here they compete with blocks on the " +
        `same text; leave it out, or pass shares, e.g. --distribution ${SETTINGS.multipruner.distribution}`,
    );
  }
  if (targetLatency !== null && swap !== "none") {
    throw new UsageError(
      "--swap auto weighs parameters, and --target-latency milliseconds; leave out one",
    );
  }
  if (uniform && swap !== "none") {
    throw new UsageError(
      "--swap auto changes single layers, and --uniform keeps all of them alike; leave out one",
    );
  }
}

/** @throws {UsageError} for a name that is no technique, and for techniques of a search that is not used. */
function techniquesOff(list: string, search: string): string {
  const names = list.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const unknown = names.find((name) => !(TECHNIQUES as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--fast-without is ${JSON.stringify(unknown)}; it needs names of ${TECHNIQUES.join(", ")}`,
    );
  }
  if (names.length > 0 && search !== "fast") {
    throw new UsageError(`--fast-without is for --search fast, and this search is ${search}`);
  }
  return TECHNIQUES.filter((name) => names.includes(name)).join(",");
}

/** Paths are recorded in full, so that a run can be resumed from any folder. */
function absolute(path: string | null): string | null {
  return path === null ? null : userPath(path);
}
