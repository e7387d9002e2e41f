import {
  type Architecture,
  denseShape,
  hasExperts,
  latencyOf,
  type LatencyTable,
  type Ranking,
  type StopSignal,
  UnreachableTargetError,
  UsageError,
} from "@lopper/core";
import {
  type BatchOptions,
  type CalibrationSet,
  criterionOf,
  PUBLISHED_RANKING,
  rankByWeights,
  rankingsOf,
  ResidentScorer,
  type Scorer,
  SuffixScorer,
} from "@lopper/importance";
import type { Model } from "@lopper/models";
import { Decoder, residentCopy, ResidentDecoder } from "@lopper/runtime";
import {
  ByTable,
  competition,
  dimensionsOfWholeExperts,
  exhaustive,
  type Fitter,
  type GroupSizes,
  largestReachableRatio,
  multiPruner,
  type Picker,
  quickResource,
  Race,
  raceBatches,
  searchModelOf,
  type SearchPolicy,
  uniformCompetition,
  uniformPruner,
} from "@lopper/search";
import { distribution } from "./options/shares.ts";
import { UnitRanker, type UnitRankerOptions } from "./unit_ranker.ts";
import type { RunFlags } from "./schemas/flags.ts";

/**
 * The policy that the flags describe.
 * @param latencies what predicts the time that is to be saved, or null where parameters are.
 * @throws {UnreachableTargetError} before any search, when no order of steps reaches the target.
 * @throws {UsageError} when the preset is for other models.
 */
export function policyOf(
  model: Pick<Model, "architecture">,
  flags: RunFlags,
  latencies: LatencyTable | null,
): SearchPolicy {
  if (flags.preset === "experts" && !hasExperts(model.architecture)) {
    throw new UsageError("--preset experts is for mixtures of experts, and this model has none");
  }
  const shares = distribution(flags.distribution);
  if (flags.search === "table") checkTable(model, flags);
  const [staged, competing] = flags.uniform
    ? [uniformPruner, uniformCompetition]
    : [multiPruner, competition];
  const searched = searchModelOf(model.architecture);
  const options = {
    ratio: flags.ratio,
    earlierRatios: flags.earlierRatios,
    groups: groupSizes(flags),
    byLayer: flags.expertsByLayer,
    ...((latencies || !flags.narrowsExperts) && {
      dimensions: dimensionsOfWholeExperts(model.architecture.blocks),
    }),
    ...(latencies && {
      resource: quickResource(
        latencyOf(latencies, model.architecture.blocks),
        model.architecture.blocks,
      ),
    }),
  };
  const policy = shares === "auto"
    ? competing(searched, options)
    : staged(searched, { ...options, distribution: shares });
  const reachable = largestReachableRatio(searched, policy);
  if (reachable < flags.ratio && !flags.bestEffort && flags.earlierRatios.length === 0) {
    throw new UnreachableTargetError(
      flags.ratio,
      reachable,
      `what may go with --distribution ${flags.distribution}, --mlp-group ${flags.mlpGroup} and ` +
        `--attention-group ${flags.attentionGroup} is not enough`,
      latencies ? { denseLatency: policy.resource.amount(denseShape(searched.blocks)) } : {},
    );
  }
  return policy;
}

/** @throws {UsageError} when a table of single changes says nothing of what may go. */
function checkTable({ architecture }: Pick<Model, "architecture">, flags: RunFlags) {
  if (distribution(flags.distribution) !== "auto" || flags.uniform) {
    throw new UsageError(
      "--search table chooses among all kinds, block by block; it needs --distribution auto, and no --uniform",
    );
  }
  if (hasExperts(architecture)) {
    throw new UsageError(
      "--search table knows no experts, and this model has some; leave it out, or pass --search fast",
    );
  }
}

/** What goes at a time, by dimension. */
export function groupSizes(
  { mlpGroup, attentionGroup, expertGroup }: Pick<
    RunFlags,
    "mlpGroup" | "attentionGroup" | "expertGroup"
  >,
): GroupSizes & Readonly<Record<"channels" | "kvGroups" | "experts", number>> {
  return { channels: mlpGroup, kvGroups: attentionGroup, experts: expertGroup ?? 1 };
}

/** What candidates run on: the decoder, or a copy on its backend's device. */
export function searchingOn(decoder: Decoder): Decoder | ResidentDecoder {
  return residentCopy(decoder) ?? decoder;
}

/** In what batches the search that the flags ask for goes over its samples. */
export function batchesOf(
  set: CalibrationSet,
  { search, batchTokens, seed }: RunFlags,
  architecture: Architecture,
): BatchOptions {
  // Experts may be read from the file with every batch, so those of a mixture stay large.
  return search === "exhaustive" || hasExperts(architecture)
    ? { batchTokens }
    : raceBatches(set, batchTokens, seed);
}

/**
 * The scorer of one kind of samples for the search that the flags ask for; `dense` runs the model
 * as it is in the checkpoint.
 */
export function openScorer(
  decoder: Decoder | ResidentDecoder,
  set: CalibrationSet,
  flags: RunFlags,
  { cacheBytes, dense, signal }: {
    readonly cacheBytes: number;
    readonly dense: Decoder;
    readonly signal?: StopSignal;
  },
): SuffixScorer | ResidentScorer {
  const options = {
    ...batchesOf(set, flags, decoder.architecture),
    judge: { criterion: criterionOf(flags.criterion), dense },
  };
  return decoder instanceof Decoder
    ? new SuffixScorer(decoder, set, { cacheBytes, signal, ...options })
    : new ResidentScorer(decoder, set, options);
}

/**
 * The way in which the flags ask for steps to be decided.
 * @param fitter of what cells of a table narrow; null where they are scored as they are.
 */
export function pickerOf(flags: RunFlags, fitter: Fitter | null = null): Picker {
  if (flags.search === "exhaustive") return exhaustive;
  const race = raceOf(flags);
  return flags.search === "table" ? new ByTable(race, fitter) : race;
}

/** Whether cells of a table are scored as local refits would leave them. */
export function fitsCells({ search, recover }: Pick<RunFlags, "search" | "recover">): boolean {
  return search === "table" && recover !== "none";
}

function raceOf(flags: RunFlags): Race {
  const on = (name: RunFlags["fastWithout"][number]) => !flags.fastWithout.includes(name);
  return new Race({
    racing: on("racing"),
    lazy: on("lazy"),
    proxies: on("proxies"),
    threshold: on("threshold"),
    usual: usualEvaluations(flags),
  });
}

/**
 * What a step of a race takes as a rule, as `Race` counts it: what the runs took that
 * benchmarks/results has. Where kinds compete, most steps are none.
 */
function usualEvaluations({ criterion, distribution, fastWithout }: RunFlags): number {
  const competes = distribution === "auto" && !fastWithout.includes("threshold") &&
    !fastWithout.includes("lazy");
  return criterionOf(criterion).needs === "predictions"
    ? competes ? 1.1 : 1.6
    : competes
    ? 1.7
    : 2.3;
}

/** What others compute of a ranking. */
export interface RankingWork {
  readonly scorer: (text: "validation") => Scorer;
  readonly pass: UnitRankerOptions["pass"];
}

/** The ranker that the flags ask for; the published ranking needs none. */
export function rankerOf(
  flags: RunFlags,
  model: Model,
  { decoder, searching, shared }: {
    /** Its weights lie in the published ranking. */
    readonly decoder: Decoder;
    readonly searching: Decoder | ResidentDecoder;
    readonly shared: RankingWork | null;
  },
  texts: { readonly text: CalibrationSet; readonly validation: CalibrationSet | null },
  onProgress: UnitRankerOptions["onProgress"],
): UnitRanker | undefined {
  const { ranking, batchTokens } = flags;
  if (ranking === PUBLISHED_RANKING.name && !hasExperts(model.architecture)) return undefined;
  const lying = decoder.weights.ranking;
  let published: Promise<Ranking> | undefined;
  const byPublished = () =>
    published ??= hasExperts(model.architecture)
      ? rankByWeights(model, PUBLISHED_RANKING)
      : Promise.resolve(lying);
  return new UnitRanker({
    decoder,
    rules: rankingsOf(ranking),
    byWeights: (rule) => rule === PUBLISHED_RANKING ? byPublished() : rankByWeights(model, rule),
    text: texts.text,
    // Workers score on what they search on, and rankings are compared on the decoder.
    validation: texts.validation && (
      shared && searching === decoder
        ? shared.scorer("validation")
        : new SuffixScorer(decoder, texts.validation, { cacheBytes: 0, batchTokens })
    ),
    batchTokens,
    ...(shared && { pass: shared.pass }),
    onProgress,
    onRanked: async () => {
      if (searching instanceof ResidentDecoder) await searching.reload(decoder.weights);
    },
  });
}

/** Scores whole models, one after the other, and keeps nothing of them. */
export function scorerOnce(
  decoder: Decoder | ResidentDecoder,
  set: CalibrationSet,
  { batchTokens }: Pick<RunFlags, "batchTokens">,
): Scorer {
  return decoder instanceof Decoder
    ? new SuffixScorer(decoder, set, { cacheBytes: 0, batchTokens })
    : new ResidentScorer(decoder, set, { batchTokens });
}
