import {
  type Architecture,
  denseShape,
  hasExperts,
  UnreachableTargetError,
  UsageError,
} from "@lopper/core";
import {
  criterionOf,
  PUBLISHED_RANKING,
  rankingsOf,
  type Scorer,
  tokenCount,
} from "@lopper/importance";
import type { Model } from "@lopper/models";
import { refitWork } from "@lopper/recovery";
import {
  ByTable,
  defaultMlpGroup,
  denseState,
  expectedSteps,
  expectedTokens,
  type Picker,
  type SearchPolicy,
  tableWork,
} from "@lopper/search";
import { SETTINGS } from "./presets.ts";
import { fitsCells, pickerOf, policyOf } from "./search_tools.ts";
import type { RunTexts } from "./texts.ts";
import type { RunFlags } from "./schemas/flags.ts";

/** Tokens of the texts of a run. */
export interface TextTokens {
  readonly block: number;
  readonly width: number;
  readonly extended: number;
  readonly validation: number;
  readonly heldOut: number;
}

export function tokensOf(texts: RunTexts): TextTokens {
  const count = (name: "block" | "width" | "extended" | "heldOut") => tokenCount(texts[name]);
  return {
    ...{ block: count("block"), width: count("width"), extended: count("extended") },
    ...{
      validation: texts.validation ? tokenCount(texts.validation) : 0,
      heldOut: count("heldOut"),
    },
  };
}

/** What a run would compute, in block-tokens, and the steps of its search. */
export interface Workload {
  readonly steps: number;
  readonly candidates: number;
  readonly search: number;
  /** Of work whose cost is known before: predictions, rankings and measures. */
  readonly beside: number;
  readonly refits: number;
}

/** What of a scorer says how much there is to compute. */
type CountedText = Pick<Scorer, "tokens" | "length" | "batches" | "keptBatches" | "fullCost">;

/** What a search is made of, and the scorers of its samples. */
export interface SearchParts {
  readonly policy: SearchPolicy;
  readonly picker: Picker;
  readonly scorers: Readonly<Record<"block" | "width", CountedText>>;
}

/** A candidate runs about half of the blocks, and the head. */
const CANDIDATE_SHARE = 0.6;

/** @param tokens of the texts; where they are others than the scorers', the search's are, too. */
export function workload(
  model: Pick<Model, "architecture">,
  flags: RunFlags,
  parts: SearchParts,
  tokens: TextTokens,
): Workload {
  const { scorers } = parts;
  const { blocks } = model.architecture;
  const perToken = scorers.block.fullCost(denseShape(blocks)) / scorers.block.tokens;
  const { steps, candidates, scored } = searchWork(parts, model, tokens);
  return {
    steps,
    candidates,
    search: scored * perToken * CANDIDATE_SHARE,
    beside:
      (predicted(parts.policy, flags, tokens) + 2 * (tokens.block + tokens.heldOut)) * perToken +
      rankingWork(model, parts.policy, flags, tokens, perToken),
    refits: flags.recover === "none" || tokens.validation === 0 ? 0 : refitWork(
      model.architecture,
      {
        ...{ calibration: tokens.extended, validation: tokens.validation / 2 },
        ...{ way: flags.recover, cells: fitsCells(flags) },
      },
    ),
  };
}

export function totalOf({ search, beside, refits }: Workload): number {
  return search + beside + refits;
}

/**
 * Other settings with which a run takes at most four fifths of the time, the shortest first: one
 * thing at a time, and the preset that changes several.
 */
export function shorterWays(
  model: Pick<Model, "architecture">,
  flags: RunFlags,
  parts: SearchParts,
  tokens: TextTokens,
): readonly { readonly options: string; readonly work: Workload }[] {
  const asked = totalOf(workload(model, flags, parts, tokens));
  const ways = otherWays(model, flags).flatMap(({ options, other, text }) => {
    const policy = orNull(() => policyOf(model, other, null));
    if (!policy) return [];
    const picker = pickerOf(other);
    const work = workload(model, other, { ...parts, policy, picker }, partOf(tokens, text));
    return totalOf(work) <= 0.8 * asked ? [{ options, work }] : [];
  });
  return ways.sort((a, b) => totalOf(a.work) - totalOf(b.work));
}

/** @returns with `text`, the part of the text that there is then. */
function otherWays({ architecture }: Pick<Model, "architecture">, flags: RunFlags) {
  const { samples, widthSamples, mlpGroup, recover } = flags;
  const isTable = flags.search === "table";
  const half = (count: number) => Math.ceil(count / 2);
  return [
    ...samples < 8 || flags.targetLatency !== null ? [] : [{
      options: `--samples ${half(samples)}` +
        (flags.distribution === "auto" ? "" : ` --width-samples ${half(widthSamples)}`),
      other: { ...flags, samples: half(samples), widthSamples: half(widthSamples) },
      text: 0.5,
    }],
    ...isTable ? [] : [{
      options: `--mlp-group ${2 * mlpGroup}`,
      other: { ...flags, mlpGroup: 2 * mlpGroup },
      text: 1,
    }],
    ...recover !== "auto" && recover !== "both" ? [] : [{
      options: "--recover local",
      other: { ...flags, recover: "local" as const },
      text: 1,
    }],
    // Who asked for a table keeps it with any preset.
    ...flags.preset === "lopper" && !isTable ? [quickWay(architecture, flags)] : [],
  ];
}

/** What that preset says of a run with these settings. */
function quickWay(architecture: Architecture, flags: RunFlags) {
  const { ranking, recover, search, samples, mlpGroups, sequenceLength } = SETTINGS.quick;
  const seqLen = Math.min(sequenceLength, architecture.maxPositions);
  return {
    options: "--preset quick",
    other: {
      ...flags,
      ...{ ranking, recover, search, seqLen },
      ...{ samples: samples.block, widthSamples: samples.width },
      mlpGroup: defaultMlpGroup(architecture, mlpGroups),
    },
    text: Math.min(1, samples.block * seqLen / (flags.samples * flags.seqLen)),
  };
}

function partOf(tokens: TextTokens, share: number): TextTokens {
  const { heldOut, ...others } = tokens;
  const { block, width, extended, validation } = others;
  const part = (count: number) => Math.ceil(count * share);
  return {
    ...{ block: part(block), width: part(width), heldOut },
    ...{ extended: part(extended), validation: part(validation) },
  };
}

/** Null where a target is out of reach. */
function orNull<T>(ask: () => T): T | null {
  try {
    return ask();
  } catch (error) {
    if (error instanceof UnreachableTargetError || error instanceof UsageError) return null;
    throw error;
  }
}

/** Tokens that the dense model predicts for candidates to be judged by. */
function predicted({ stages }: SearchPolicy, flags: RunFlags, tokens: TextTokens): number {
  if (criterionOf(flags.criterion).needs !== "predictions") return 0;
  const kinds = new Set(stages.map(({ samples }) => samples));
  return [...kinds].reduce((sum, kind) => sum + tokens[kind], 0);
}

/**
 * Rankings: of each kind of units a pass over the text through all blocks, and a trial of each rule
 * where there are several.
 */
function rankingWork(
  { architecture }: Pick<Model, "architecture">,
  { stages }: SearchPolicy,
  { ranking }: RunFlags,
  tokens: TextTokens,
  perToken: number,
): number {
  if (ranking === PUBLISHED_RANKING.name && !hasExperts(architecture)) return 0;
  const rules = rankingsOf(ranking);
  const dimensions = new Set(stages.flatMap(({ narrows }) => narrows));
  const passes = rules.some(({ needs }) => needs !== "weights") ? tokens.extended : 0;
  const trials = rules.length > 1 ? rules.length * tokens.validation * perToken : 0;
  return dimensions.size * (passes * architecture.blocks.length + trials);
}

/** Steps of a search, candidates of all of them, and candidate-tokens that are scored. */
function searchWork(
  { policy, picker, scorers }: SearchParts,
  { architecture: { blocks } }: Pick<Model, "architecture">,
  tokens: TextTokens,
): { readonly steps: number; readonly candidates: number; readonly scored: number } {
  const dense = denseState(blocks);
  if (picker instanceof ByTable) {
    const stages = policy.stages.map((stage) =>
      tableWork(policy, stage, dense, scorers[stage.samples])
    );
    // A run that was extended has a table for each of its ratios, of which the last one is longest.
    const last = stages.at(-1)!;
    return { steps: last.steps, candidates: last.cells + last.steps, scored: last.tokens };
  }
  const steps = expectedSteps(policy, dense);
  return {
    steps: steps.length,
    candidates: steps.reduce((sum, s) => sum + s.candidates, 0),
    scored: expectedTokens(steps, picker, {
      block: { tokens: tokens.block },
      width: { tokens: tokens.width },
    }),
  };
}
