import type { LayerSpec, Resource } from "@lopper/core";
import type { UnitKind } from "@lopper/importance";
import type { Candidate } from "./candidate.ts";

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
