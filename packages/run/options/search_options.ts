import { CRITERIA, CRITERION_NAMES, RANKING_CHOICES, RANKINGS } from "@lopper/importance";
import { choice, decimal, names, on, percent, size, wholeNumber } from "@lopper/options";
import { PUBLISHED_MLP_GROUPS, TECHNIQUES } from "@lopper/search";
import { z } from "zod";
import {
  fixesDistribution,
  RUN_DEFAULTS,
  SETTINGS,
  SETTINGS_NAMES,
  type SettingsName,
} from "../presets.ts";
import { type Defaults, optional, setting } from "./setting.ts";
import { sharesForm } from "./shares.ts";

/** What is to go, and how it is looked for. */
export const SEARCH_OPTIONS = {
  /** With `targetLatency`, of the time that a token is predicted to take. */
  ratio: setting(percent(100), {
    help: "parameters to remove, in per cent",
    // As little as nothing is left to do where a target of bytes or milliseconds is met.
    schema: z.number().nonnegative().lt(100),
    usual: () => RUN_DEFAULTS.ratio,
    decides: "grows",
    isSaidBy: ({ targetLatency }) => targetLatency !== null,
  }),
  targetBytes: {
    form: size,
    help:
      "instead of --ratio: the most that the weights may take, e.g. 200MB, in the dtypes of the checkpoint",
  },
  targetLatency: optional(decimal("ms", 0), {
    help:
      "instead of --ratio: the most milliseconds that a generated token may take here, predicted from blocks that are timed first",
    decides: "same",
    isOfSearch: true,
  }),
  preset: setting(choice("name", SETTINGS_NAMES), {
    help: "settings by name: lopper's own, or published ones",
    usual: (): SettingsName => RUN_DEFAULTS.preset,
    decides: "same",
    isOfSearch: true,
  }),
  distribution: setting(sharesForm, {
    help:
      "shares of blocks, MLP channels and heads, e.g. 44:52:4, which go one after the other then (of a mixture: of blocks, " +
      "experts, heads, and perhaps channels of experts); auto: they compete by loss per parameter, or per millisecond",
    usual: ({ preset }) => preset.distribution,
    decides: "same",
    isOfSearch: true,
    isSaidBy: ({ preset }) => fixesDistribution(preset as SettingsName),
  }),
  uniform: setting(on, {
    help:
      "keep all layers alike, for programs that know such models only: whole layers go, and channels and heads of all layers",
    usual: () => false,
    decides: "same",
    isOfSearch: true,
  }),
  mlpGroup: setting(wholeNumber(1), {
    help: "MLP channels that go at a time, of a mixture channels of each expert",
    stated: `about 1/${SETTINGS.lopper.mlpGroups}; 1/${PUBLISHED_MLP_GROUPS} in published presets`,
    usual: ({ groups }) => groups.mlp,
    decides: "same",
    isOfSearch: true,
  }),
  attentionGroup: setting(wholeNumber(1), {
    help: "query channels that go at a time",
    stated: "one KV group",
    usual: ({ groups }) => groups.attention,
    decides: "same",
    isOfSearch: true,
  }),
  expertGroup: {
    ...optional(wholeNumber(1), {
      help: "experts of every layer that go at a time",
      stated: "about 1/16 of a layer's",
      decides: "same",
      isOfSearch: true,
    }),
    schema: wholeNumber(1).schema.nullable().default(null),
    usual: ({ groups }: Defaults) => groups.experts,
  },
  expertsByLayer: setting(on, {
    help:
      "let layers keep different numbers of experts, and of their channels, which few programs know",
    schema: on.schema.default(false),
    usual: () => false,
    decides: "same",
    isOfSearch: true,
  }),
  ranking: setting(choice("name", RANKING_CHOICES), {
    help: `which channels and heads of a block go first, by ${
      RANKINGS.map(({ name, goesBy }) => `${name}: ${goesBy}`).join("; ")
    }; auto: what a trial hurts least`,
    usual: ({ preset }) => preset.ranking,
    decides: "same",
    alias: "--order",
  }),
  recover: setting(choice("name", ["none", "local", "auto", "both"]), {
    help:
      "fit what stays to the dense model, where it helps on calibration text kept aside; local: the output projections of " +
      "all narrowed blocks to what the dense blocks write, quickly; auto: block after block to the dense model's hidden " +
      "states, and the scale of each expert of a mixture; both: so from where local ends",
    usual: ({ preset }) => preset.recover,
    decides: "same",
  }),
  swap: setting(choice("name", ["none", "auto"]), {
    help:
      "auto: when the ratio is reached, give single blocks and groups back and remove others for them, as long as that " +
      "helps",
    usual: ({ preset }) => preset.swap,
    decides: "same",
    isOfSearch: true,
  }),
  criterion: setting(choice("name", CRITERION_NAMES), {
    help: `what candidates and refits are judged by: ${
      CRITERIA.map((criterion) => `${criterion.name}, ${criterion.is}`).join("; ")
    }`,
    usual: ({ preset }) => preset.criterion,
    decides: "same",
  }),
  search: setting(choice("kind", ["fast", "exhaustive", "table"]), {
    help:
      "how candidates are scored: step after step, those that may win, or all; table: single changes once, as local refits " +
      "would leave them, from which a knapsack takes the plan",
    usual: ({ preset }) => preset.search,
    decides: "same",
    isOfSearch: true,
  }),
  fastWithout: setting(names(TECHNIQUES), {
    help: `switch off techniques of the fast search: ${TECHNIQUES.join(", ")}`,
    usual: () => [],
    decides: "same",
    isOfSearch: true,
  }),
  maxPplIncrease: optional(percent(Infinity), {
    help:
      "end before perplexity rises by more, on the text of --held-out, else on the calibration text",
    decides: "same",
    isOfSearch: true,
  }),
  bestEffort: setting(on, {
    help: "when the ratio cannot be reached, go as far as it does",
    usual: () => false,
    decides: "free",
    isOfSearch: true,
  }),
} as const;
