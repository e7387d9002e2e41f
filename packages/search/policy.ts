import type { KeptByBlock } from "@lopper/core";
import type { Resource } from "@lopper/core";
import { DIMENSIONS } from "./dimensions/list.ts";
import type { GroupSizes, SearchDimension } from "./dimensions/dimension.ts";
import type { Proposal } from "./proposal.ts";
import type { SearchState } from "./state.ts";

/** Which calibration samples a stage scores on: "block" (256 published) or "width" (128). */
export type SampleKind = "block" | "width";

/**
 * Stages that are not named after the one dimension that they narrow, and what they remove, in
 * words.
 */
const OTHER_STAGES: Readonly<Record<string, string>> = {
  blocks: "blocks",
  layers: "whole layers",
  all: "blocks, MLP channels and heads",
};

/** What a stage removes of a model, in words: of all kinds, one with experts loses others. */
export function stageLabel(name: string, withExperts = false): string {
  if (name === "all" && withExperts) return "blocks, experts, their channels and heads";
  return OTHER_STAGES[name] ?? DIMENSIONS.find((one) => one.name === name)?.label ?? name;
}

/** The samples that a stage scores on, by its name. */
export function samplesOf(stage: string): SampleKind {
  return stage in OTHER_STAGES ? "block" : "width";
}

/** A part of the search: it goes on while less than `bound` of the policy's resource is saved. */
export interface Stage {
  /** "blocks", "layers", "all", or the dimension that it narrows. */
  readonly name: string;
  readonly samples: SampleKind;
  /**
   * What is saved when the stage ends, in per cent of what the dense model takes: of parameters,
   * the pruning ratio.
   */
  readonly bound: number;
  /** @param bound at which the stage ends. */
  candidates(state: SearchState, bound: number): readonly Proposal[];
  /** Of what a knapsack over single changes can choose, in a stage that a table may decide. */
  readonly table?: StageTable;
  /** It offers nothing that would cross the bound, and ends there as it is meant to. */
  readonly endsShort?: boolean;
  /** It goes on with what a later stage had no candidates for; where they sufficed, it is empty. */
  readonly takesOver?: boolean;
  /** Dimensions whose rankings decide what its candidates remove. */
  readonly narrows: readonly string[];
  /**
   * What a nat of a candidate's loss increase counts when it would be taken from a state, in a
   * stage whose candidates remove unlike amounts; without it the lowest perplexity is taken.
   */
  weight?(candidate: Proposal, state: SearchState): number;
  /**
   * What may be swapped when the stage has ended: of those that share a target, the last stage has
   * it.
   */
  readonly exchange?: Exchange;
}

/** Single changes of a state. */
export interface StageTable {
  /** Each changes one block; they come block after block. */
  cells(state: SearchState): readonly Proposal[];
  /** What goes at a time between them. */
  readonly groups: GroupSizes;
}

/** What a swap may exchange in a model that has reached a target. */
export interface Exchange {
  /** Pruning ratio in per cent that every swap has to leave. */
  readonly target: number;
  /** What may come back. @param last what each block keeps, or kept when it went. */
  restorations(state: SearchState, last: KeptByBlock): readonly Proposal[];
  /** What may go for it. */
  removals(state: SearchState): readonly Proposal[];
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
  /** Ratios that a run reached before it was extended, ascending; each began the stages anew. */
  readonly earlierRatios?: readonly number[];
  /** What goes at a time: whole units of each dimension, given in inner channels. */
  readonly groups: GroupSizes;
  /** Every layer loses by itself what all would lose alike. */
  readonly byLayer?: boolean;
  /** What blocks may lose a part of; without it, what the search knows that the model has. */
  readonly dimensions?: readonly SearchDimension[];
}

export interface MultiPrunerOptions extends PolicyOptions {
  /** Shares of the target for blocks, and for the dimensions in their order; any scale. */
  readonly distribution: readonly number[];
}
