import { longestSequence, type ModelSpec, UsageError } from "@lopper/core";
import { DEFAULT_BATCH_TOKENS } from "@lopper/importance";
import { defaultMlpGroup, headGroupUnit, TECHNIQUES } from "@lopper/search";
import {
  AS_IT_IS,
  fixesDistribution,
  type PresetSettings,
  RUN_DEFAULTS,
  SETTINGS,
  type SettingsName,
} from "./presets.ts";
import { distribution } from "./shares.ts";
import type { RunFlags } from "./schemas/flags.ts";

/** What settings that were not given depend on. */
export interface RunFlagsContext {
  /** Settings of the run that goes on. */
  readonly saved?: RunFlags;
  /** Whether a decision is applied that was made before: as it is, unless more is asked for. */
  readonly isApplied?: boolean;
  /** What a model that says so is usually calibrated on, instead of what the preset says. */
  readonly usual?: Partial<Pick<PresetSettings, "samples" | "sequenceLength">>;
}

/**
 * All settings of a run: what was given, else what the run that goes on was begun with, else the defaults. A program names
 * its own texts; `calibration` and `heldOut` are for the record.
 * @param given those that are undefined count as not given.
 * @throws {UsageError} when two settings contradict each other, or there is no such preset.
 */
export function runFlags(
  spec: ModelSpec,
  given: Partial<RunFlags>,
  { saved, isApplied, usual }: RunFlagsContext = {},
): RunFlags {
  const preset = (given.preset ?? saved?.preset ?? RUN_DEFAULTS.preset) as SettingsName;
  if (!Object.hasOwn(SETTINGS, preset)) {
    throw new UsageError(
      `the preset is ${JSON.stringify(preset)}; it needs to be one of ${
        Object.keys(SETTINGS).join(", ")
      }`,
    );
  }
  const settings = { ...SETTINGS[preset], ...(isApplied && AS_IT_IS) };
  const samples = usual?.samples ?? settings.samples;
  const targetLatency = given.targetLatency ?? saved?.targetLatency ?? null;
  const shares = given.distribution ?? saved?.distribution ?? settings.distribution;
  const ratio = given.ratio ?? saved?.ratio ?? RUN_DEFAULTS.ratio;
  const search = given.search ?? saved?.search ?? RUN_DEFAULTS.search;
  const swap = given.swap ?? saved?.swap ?? settings.swap;
  const uniform = given.uniform ?? saved?.uniform ?? false;
  checkTogether(given, { preset, shares, swap, uniform, targetLatency });
  return {
    model: given.model ?? null,
    ratio,
    targetLatency,
    preset,
    distribution: shares,
    mlpGroup: given.mlpGroup ?? saved?.mlpGroup ?? defaultMlpGroup(spec),
    attentionGroup: given.attentionGroup ?? saved?.attentionGroup ?? headGroupUnit(spec),
    recover: given.recover ?? saved?.recover ?? settings.recover,
    order: given.order ?? saved?.order ?? settings.order,
    swap,
    criterion: given.criterion ?? saved?.criterion ?? settings.criterion,
    search,
    fastWithout: techniquesOff(given.fastWithout ?? saved?.fastWithout ?? "", search),
    earlierRatios: saved && ratio > saved.ratio
      ? [...saved.earlierRatios, saved.ratio]
      : saved?.earlierRatios ?? [],
    calibration: given.calibration ?? saved?.calibration ?? null,
    calibrationWidth: given.calibrationWidth ?? saved?.calibrationWidth ?? null,
    samples: given.samples ?? saved?.samples ?? samples.block,
    widthSamples: given.widthSamples ?? saved?.widthSamples ?? samples.width,
    seqLen: given.seqLen ?? saved?.seqLen ??
      Math.min(usual?.sequenceLength ?? settings.sequenceLength, longestSequence(spec)),
    seed: given.seed ?? saved?.seed ?? RUN_DEFAULTS.seed,
    batchTokens: saved?.batchTokens ?? DEFAULT_BATCH_TOKENS,
    bestEffort: given.bestEffort ?? saved?.bestEffort ?? false,
    uniform,
    export: given.export ?? saved?.export ?? null,
    heldOut: given.heldOut ?? saved?.heldOut ?? null,
    maxPplIncrease: given.maxPplIncrease ?? saved?.maxPplIncrease ?? null,
  };
}

/** @throws {UsageError} when two options contradict each other. */
function checkTogether(
  given: Partial<RunFlags>,
  { preset, shares, swap, uniform, targetLatency }: {
    readonly preset: SettingsName;
    readonly shares: string;
    readonly swap: string;
    readonly uniform: boolean;
    readonly targetLatency: number | null;
  },
) {
  if (given.distribution !== undefined && fixesDistribution(preset)) {
    throw new UsageError(
      `--preset ${preset} fixes the distribution; leave out --distribution, or the preset`,
    );
  }
  if (distribution(shares) === "auto" && given.calibrationWidth !== undefined) {
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
