import type { CriterionName, RankingName } from "@lopper/importance";
import type { RefitWay } from "@lopper/recovery";
import { type PresetName, PRESETS, PUBLISHED_MLP_GROUPS } from "@lopper/search";
import type { BosRule } from "@lopper/tokenizers";

/** What a preset says of a run. */
export interface PresetSettings {
  readonly distribution: string;
  readonly ranking: RankingName | "auto";
  readonly recover: "none" | RefitWay;
  readonly swap: "none" | "auto";
  readonly criterion: CriterionName;
  readonly search: "fast" | "table";
  /** Samples for blocks, and for channels and heads. */
  readonly samples: { readonly block: number; readonly width: number };
  /** Groups of channels that an MLP has about, each of which goes at once. */
  readonly mlpGroups: number;
  /** Tokens of a sequence, where the model takes as many. */
  readonly sequenceLength: number;
  /** Which sequences of calibration text begin with what the tokenizer puts before a text. */
  readonly bos: Exclude<BosRule, "none">;
}

/** Lopper's own settings, and the published ones. */
export type SettingsName = "lopper" | "quick" | "experts" | PresetName;

/** The published ranking, the weights of the checkpoint, and what the search left. */
export const AS_IT_IS = { ranking: "l1", recover: "none", swap: "none" } as const;

const LOPPER: PresetSettings = {
  distribution: "auto",
  ranking: "auto",
  recover: "auto",
  swap: "none",
  criterion: "kl",
  search: "fast",
  // Where kinds compete a search takes several times as long, and quality.md was won on as much.
  samples: { block: 16, width: 8 },
  // Half as many steps as with the published groups, and no worse (benchmarks/README.md).
  mlpGroups: 5,
  sequenceLength: 256,
  bos: "each",
};

/** A third of the work: large steps on half of the text, one ranking, and one pass of refits. */
const QUICK: PresetSettings = {
  ...LOPPER,
  ranking: "energy",
  recover: "local",
  samples: { block: 8, width: 4 },
  mlpGroups: 3,
};

/** Experts alone, in the order of their ranking, as REAP does (arXiv 2510.13999). */
const EXPERTS: PresetSettings = {
  ...LOPPER,
  distribution: "0:1:0",
  ranking: "msan",
  recover: "none",
  // Text enough for all experts to be asked.
  samples: { block: 32, width: 16 },
  sequenceLength: 512,
  mlpGroups: PUBLISHED_MLP_GROUPS,
};

/**
 * Settings by name. Lopper's own are those that were best on held-out text (benchmarks/quality.md);
 * the published ones keep to the published ranking and write the weights of the checkpoint.
 */
export const SETTINGS: Readonly<Record<SettingsName, PresetSettings>> = {
  lopper: LOPPER,
  quick: QUICK,
  multipruner: published("multipruner"),
  blockpruner: published("blockpruner"),
  width: published("width"),
  heads: published("heads"),
  experts: EXPERTS,
};

export const SETTINGS_NAMES = Object.keys(SETTINGS) as readonly SettingsName[];

/** What a run does that neither options nor presets say otherwise. */
export const RUN_DEFAULTS = {
  preset: "lopper",
  /** Per cent of the parameters. */
  ratio: 20,
  seed: 42,
} as const satisfies { readonly preset: SettingsName; readonly [name: string]: unknown };

/** Presets that are one dimension alone: another distribution would contradict them. */
export function fixesDistribution(name: SettingsName): boolean {
  return name !== "lopper" && name !== "quick" && name !== "multipruner";
}

function published(name: PresetName): PresetSettings {
  return {
    distribution: PRESETS[name].join(":"),
    ...AS_IT_IS,
    criterion: "perplexity",
    search: "fast",
    samples: { block: 256, width: 128 },
    mlpGroups: PUBLISHED_MLP_GROUPS,
    sequenceLength: 2048,
    bos: "first",
  };
}
