import {
  groupSize,
  type LayerSpec,
  type ModelSpec,
  parametersOf,
  reduction,
  type Resource,
  UsageError,
} from "@lopper/core";
import type { UnitKind } from "@lopper/importance";
import {
  blockCandidates,
  type Candidate,
  channelCandidates,
  headCandidates,
  restorations,
} from "./candidate.ts";

/** Which calibration samples a stage scores on: "block" (256 published) or "width" (128). */
export type SampleKind = "block" | "width";

export const STAGE_NAMES = [
  "blocks",
  "layers",
  "mlp_channels",
  "attention_heads",
  "all",
] as const;

/** What a stage removes, in words. */
export const STAGE_LABELS: Readonly<Record<typeof STAGE_NAMES[number], string>> = {
  blocks: "blocks",
  layers: "whole layers",
  mlp_channels: "MLP channels",
  attention_heads: "heads",
  all: "blocks, MLP channels and heads",
};

/** One dimension of the search: it goes on while less than `bound` of the policy's resource is saved. */
export interface Stage {
  readonly name: typeof STAGE_NAMES[number];
  readonly samples: SampleKind;
  /** What is saved when the stage ends, in per cent of what the dense model takes: of parameters, the pruning ratio. */
  readonly bound: number;
  /** @param bound at which the stage ends. */
  candidates(layers: readonly LayerSpec[], bound: number): readonly Candidate[];
  /** It offers nothing that would cross the bound, and ends there as it is meant to. */
  readonly endsShort?: boolean;
  /** Units whose order decides what its candidates keep. */
  readonly narrows: readonly UnitKind[];
  /**
   * What a nat of a candidate's damage counts when it would be taken from `layers`, in a stage whose candidates remove
   * unlike amounts; without it the lowest perplexity is taken.
   */
  weight?(candidate: Candidate, layers: readonly LayerSpec[]): number;
  /** What may be swapped when the stage has ended: of those that share a target, the last stage has it. */
  readonly exchange?: Exchange;
}

/** What a swap may exchange in a model that has reached a target. */
export interface Exchange {
  /** Pruning ratio in per cent that every swap has to leave. */
  readonly target: number;
  /** What may come back. @param last for each block the shape that it has, or had when it went. */
  restorations(
    layers: readonly LayerSpec[],
    last: readonly LayerSpec[],
  ): readonly Candidate[];
  /** What may go for it. */
  removals(layers: readonly LayerSpec[]): readonly Candidate[];
}

/** Which candidates each step has and when a stage ends. It never runs a model. */
export interface SearchPolicy {
  /** What the search is to save in all, in per cent of what the dense model takes. */
  readonly target: number;
  /** Of what. */
  readonly resource: Resource;
  readonly stages: readonly Stage[];
  /** Every step leaves all layers alike, or gone. */
  readonly uniform?: boolean;
}

export interface PolicyOptions {
  /** What is to be saved, in per cent of what the dense model takes, above 0 and below 100. */
  readonly ratio: number;
  /** Of what; of parameters where nothing is said. */
  readonly resource?: Resource;
  /** Ratios that a run reached before it was extended, ascending; each began the three stages anew. */
  readonly earlierRatios?: readonly number[];
  /** Intermediate channels that go at a time. */
  readonly mlpGroup: number;
  /** Query channels that go at a time, a multiple of headDim · (query heads per KV head). */
  readonly attentionGroup: number;
}

export interface MultiPrunerOptions extends PolicyOptions {
  /** Shares of the target for blocks, channels and heads; any scale. */
  readonly distribution: readonly [number, number, number];
}

/** Published and related settings of the same search, by name. */
export const PRESETS = {
  multipruner: [44, 52, 4],
  blockpruner: [1, 0, 0],
  width: [0, 1, 0],
  heads: [0, 0, 1],
} as const satisfies Record<string, readonly [number, number, number]>;
export type PresetName = keyof typeof PRESETS;

/**
 * MultiPruner's three stages (arXiv 2501.09949, algorithm 1; bounds as the published code computes them). A run that was
 * extended has them once for each of its ratios, so that what it decided before stands.
 * @throws {UsageError} when a number makes no sense for this model.
 */
export function multiPruner(spec: ModelSpec, options: MultiPrunerOptions): SearchPolicy {
  const { mlpGroup, attentionGroup } = options;
  const targets = checkedTargets(options);
  checkGroups(spec, options);
  // In this order: share first, then product, then sum, so that the bounds are the published ones to the last bit.
  const [blocks, channels, heads] = checkedShares(options);
  // Swaps may move parameters between the kinds, but a share of 0 says that a kind is to stay whole.
  const removals = (layers: readonly LayerSpec[]) => [
    ...(blocks > 0 ? blockCandidates(layers) : []),
    ...(channels > 0 ? channelCandidates(layers, mlpGroup) : []),
    ...(heads > 0 ? headCandidates(spec, layers, attentionGroup) : []),
  ];
  const stages = targets.flatMap((target, i): Stage[] => {
    const start = targets[i - 1] ?? 0;
    const share = target - start;
    const blockBound = start + share * blocks;
    return [
      {
        name: "blocks",
        samples: "block",
        bound: blockBound,
        candidates: blockCandidates,
        narrows: [],
      },
      {
        name: "mlp_channels",
        samples: "width",
        bound: blockBound + share * channels,
        candidates: (layers) => channelCandidates(layers, mlpGroup),
        narrows: ["channels"],
      },
      {
        name: "attention_heads",
        samples: "width",
        bound: target,
        candidates: (layers) => headCandidates(spec, layers, attentionGroup),
        narrows: ["kvGroups"],
        exchange: exchange(spec, options, target, removals),
      },
    ];
  });
  return savingPolicy(spec, options, stages);
}

/**
 * The policy of these stages. Candidates that save nothing are left out: a narrower block has fewer parameters in any case, and may
 * take as long as before. Where kinds compete, none goes further beyond the stage's bound than a group could: a block where a
 * group would do is more than was asked for.
 */
export function savingPolicy(
  spec: ModelSpec,
  options: PolicyOptions,
  stages: readonly Stage[],
): SearchPolicy {
  const resource = resourceOf(spec, options);
  const saving = (stage: Stage): Stage["candidates"] => (layers, bound) => {
    const now = resource.amount(layers);
    const all = stage.candidates(layers, bound).filter((c) => resource.amount(c.layers) < now);
    if (!stage.weight) return all;
    const saved = reduction(resource, spec.layers, layers);
    const savings = all.map((c) => reduction(resource, spec.layers, c.layers) - saved);
    const most = bound - saved + groupSaving(savings);
    return all.filter((_, i) => savings[i] <= most);
  };
  return {
    target: options.ratio,
    resource,
    stages: stages.map((stage) => ({ ...stage, candidates: saving(stage) })),
  };
}

/**
 * The policy of `--distribution auto`: blocks, channels and heads compete at every step, on the block samples, and what
 * adds the least NLL for what goes with it is taken: for its parameters, or for the time that they take.
 * @throws {UsageError} when a number makes no sense for this model.
 */
export function competition(spec: ModelSpec, options: PolicyOptions): SearchPolicy {
  const targets = checkedTargets(options);
  checkGroups(spec, options);
  const candidates = (layers: readonly LayerSpec[]) => [
    ...blockCandidates(layers),
    ...channelCandidates(layers, options.mlpGroup),
    ...headCandidates(spec, layers, options.attentionGroup),
  ];
  const stages = competing(spec, options, targets, candidates).map((stage): Stage => ({
    ...stage,
    exchange: exchange(spec, options, stage.bound, candidates),
  }));
  return savingPolicy(spec, options, stages);
}

function exchange(
  spec: ModelSpec,
  groups: PolicyOptions,
  target: number,
  removals: Exchange["removals"],
): Exchange {
  return {
    target,
    restorations: (layers, last) => restorations(spec, layers, last, groups),
    removals,
  };
}

/**
 * What a group saves where blocks and groups compete: the lower quartile of what all candidates save, and not the least, since
 * some groups save next to nothing of a resource that is not parameters.
 */
export function groupSaving(savings: readonly number[]): number {
  return savings.toSorted((a, b) => a - b)[Math.floor(savings.length / 4)];
}

/** A stage for each target, in which all kinds of candidates compete by loss for what they save. */
export function competing(
  spec: ModelSpec,
  options: PolicyOptions,
  targets: readonly number[],
  candidates: Stage["candidates"],
): readonly Stage[] {
  const weight = lossPerSaving(spec, resourceOf(spec, options));
  return targets.map((bound): Stage => ({
    name: "all",
    samples: "block",
    bound,
    candidates,
    narrows: ["channels", "kvGroups"],
    weight,
  }));
}

/** Weights under which candidates compete in nats for each per cent of what the dense model takes. */
export function lossPerSaving(
  spec: ModelSpec,
  resource: Resource,
): NonNullable<Stage["weight"]> {
  const percent = resource.amount(spec.layers) / 100;
  return (candidate, layers) =>
    percent / (resource.amount(layers) - resource.amount(candidate.layers));
}

/** What a search with these options is to save. */
export function resourceOf(spec: ModelSpec, { resource }: PolicyOptions): Resource {
  return resource ?? parametersOf(spec);
}

/** The shares of blocks, channels and heads, of 1. */
export function checkedShares({ distribution }: MultiPrunerOptions): readonly number[] {
  const sum = distribution.reduce((a, b) => a + b, 0);
  if (!(sum > 0) || distribution.some((share) => !(share >= 0))) {
    throw new UsageError(
      `the distribution is ${
        distribution.join(":")
      }; it needs three shares, none negative and not all 0`,
    );
  }
  return distribution.map((share) => share / sum);
}

/** The ratios that the stages end at, ascending. */
export function checkedTargets({ ratio, earlierRatios = [] }: PolicyOptions): readonly number[] {
  if (!(ratio > 0 && ratio < 100)) {
    throw new UsageError(`the ratio is ${ratio}; it needs to be above 0 and below 100 per cent`);
  }
  const targets = [...earlierRatios, ratio];
  if (targets.some((target, i) => target <= (targets[i - 1] ?? 0))) {
    throw new UsageError(`the ratios ${targets.join(", ")} need to grow`);
  }
  return targets;
}

export function checkGroups(spec: ModelSpec, { mlpGroup, attentionGroup }: PolicyOptions) {
  if (!Number.isInteger(mlpGroup) || mlpGroup < 1) {
    throw new UsageError(`the MLP group is ${mlpGroup}; it needs at least 1 channel`);
  }
  const unit = headGroupUnit(spec);
  if (!Number.isInteger(attentionGroup) || attentionGroup < 1 || attentionGroup % unit !== 0) {
    throw new UsageError(
      `the attention group is ${attentionGroup} query channels; this model needs a multiple of ${unit}, ` +
        `so that whole KV groups go`,
    );
  }
}

/**
 * The fewest query channels that are whole KV groups in every layer: those of one group where all layers have groups of
 * the same size.
 */
export function headGroupUnit(spec: ModelSpec): number {
  const groups = spec.layers.flatMap(({ attention }) => attention ? [groupSize(attention)] : []);
  return spec.headDim * groups.reduce((unit, size) => unit / commonDivisor(unit, size) * size, 1);
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

/** Groups of channels that an MLP has about, where nobody chose their size (1024 of 11008 in the published runs). */
export const MLP_GROUPS = 11;

/** Channels of a group, a multiple of 32. */
export function defaultMlpGroup(spec: ModelSpec): number {
  const widest = Math.max(0, ...spec.layers.map(({ mlp }) => mlp?.intermediateSize ?? 0));
  const group = Math.ceil(widest / MLP_GROUPS / 32) * 32;
  // A model so narrow that one group is all of it still gets a search.
  return group < widest ? Math.max(1, group) : Math.max(1, Math.floor(widest / 2));
}
