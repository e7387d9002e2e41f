import { type Architecture, describeIssue, hasExperts, UsageError } from "@lopper/core";
import { DEFAULT_BATCH_TOKENS } from "@lopper/importance";
import { checkParts, type OptionTable } from "@lopper/options";
import { whyNotRefitted } from "@lopper/recovery";
import { defaultExpertGroup, defaultMlpGroup, headGroupUnit } from "@lopper/search";
import { RUN_OPTIONS } from "./options/run_options.ts";
import { type Defaults, isSetting } from "./options/setting.ts";
import { distribution } from "./options/shares.ts";
import {
  AS_IT_IS,
  fixesDistribution,
  type PresetSettings,
  RUN_DEFAULTS,
  SETTINGS,
  type SettingsName,
} from "./presets.ts";
import { flagsSchema, type RunFlags } from "./schemas/flags.ts";

/** What settings that were not given depend on. */
export interface RunFlagsContext {
  /** Settings of the run that goes on. */
  readonly saved?: RunFlags;
  /** Whether a decision is applied that was made before: as it is, unless more is asked for. */
  readonly isApplied?: boolean;
  /**
   * What a model that says so usually takes, instead of what the preset says; of the preset
   * `quick`, whose point it is to take less, the length of sequences alone.
   */
  readonly usual?: Partial<Pick<PresetSettings, "samples" | "sequenceLength" | "mlpGroups">>;
}

/**
 * All settings of a run: what was given, else what the run that goes on was begun with, else the
 * defaults. A program names its own texts; `calibration` and `heldOut` are for the record.
 * @param given those that are undefined count as not given.
 * @throws {UsageError} when two settings contradict each other, or one is what no option gives.
 */
export function runFlags(
  architecture: Architecture,
  given: Partial<RunFlags>,
  { saved, isApplied, usual: ofModel }: RunFlagsContext = {},
): RunFlags {
  checkParts(RUN_OPTIONS, given);
  const preset = presetSettings(given.preset ?? saved?.preset ?? RUN_DEFAULTS.preset);
  const usual = preset === SETTINGS.quick ? { sequenceLength: ofModel?.sequenceLength } : ofModel;
  const unfit = whyNotRefitted(architecture);
  const values = settingValues(RUN_OPTIONS, given, saved, {
    preset: {
      ...preset,
      ...(isApplied && AS_IT_IS),
      ...(unfit !== null && !isApplied && preset.recover !== "none" && { recover: "local" }),
      ...known(usual),
    },
    longest: architecture.maxPositions,
    groups: {
      mlp: defaultMlpGroup(architecture, usual?.mlpGroups ?? preset.mlpGroups),
      attention: headGroupUnit(architecture),
      experts: defaultExpertGroup(architecture),
    },
  });
  const ratio = values.ratio as number;
  const { data: flags, error } = flagsSchema.safeParse({
    model: given.model ?? null,
    ...values,
    earlierRatios: saved && ratio > saved.ratio
      ? [...saved.earlierRatios, saved.ratio]
      : saved?.earlierRatios ?? [],
    ...((saved ? saved.narrowsExperts : hasExperts(architecture)) && { narrowsExperts: true }),
    batchTokens: saved?.batchTokens ?? DEFAULT_BATCH_TOKENS,
  });
  if (!flags) throw new UsageError(`the settings of the run: ${describeIssue(error.issues)}`);
  checkTogether(given, flags);
  if (unfit !== null && flags.recover !== "none" && flags.recover !== "local") {
    throw new UsageError(
      `--recover ${flags.recover} ${unfit}; leave it out, or pass --recover local`,
    );
  }
  return flags;
}

/**
 * What each setting of a table is: given, or saved, or the usual. Who gives an option anew leaves
 * what was part of it.
 */
export function settingValues(
  table: OptionTable,
  given: Readonly<Record<string, unknown>>,
  saved: Readonly<Record<string, unknown>> | undefined,
  at: Defaults,
): Readonly<Record<string, unknown>> {
  const isGiven = (key: string) => (given[key] ?? null) !== null;
  return Object.fromEntries(
    Object.entries(table).flatMap(([key, option]) => {
      if (!isSetting(option)) return [];
      const { partOf, usual } = option;
      const left = partOf !== undefined && isGiven(partOf);
      return [[key, given[key] ?? (left ? null : saved?.[key]) ?? usual(at)]];
    }),
  );
}

/** Without what is undefined. */
function known<T extends object>(values: T | undefined): T {
  return Object.fromEntries(
    Object.entries(values ?? {}).filter(([, value]) => value !== undefined),
  ) as T;
}

function presetSettings(name: string): PresetSettings {
  if (Object.hasOwn(SETTINGS, name)) return SETTINGS[name as SettingsName];
  throw new UsageError(
    `the preset is ${JSON.stringify(name)}; it needs to be one of ${
      Object.keys(SETTINGS).join(", ")
    }`,
  );
}

/** @throws {UsageError} when two options contradict each other. */
function checkTogether(given: Partial<RunFlags>, flags: RunFlags) {
  const { preset, swap, uniform, targetLatency, search, fastWithout } = flags;
  if (given.distribution !== undefined && fixesDistribution(preset)) {
    throw new UsageError(
      `--preset ${preset} fixes the distribution; leave out --distribution, or the preset`,
    );
  }
  if (distribution(flags.distribution) === "auto" && (given.calibrationWidth ?? null) !== null) {
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
  if (fastWithout.length > 0 && search !== "fast") {
    throw new UsageError(`--fast-without is for --search fast, and this search is ${search}`);
  }
}
