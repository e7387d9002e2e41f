import type { Shape } from "@lopper/core";
import type { Cost } from "./cost.ts";
import type { ShapeResource } from "./resource.ts";

/** The ranking of one dimension's units from some step on, and why: one line of the journal. */
export interface RankingLine {
  readonly type: "ranking";
  /** Number of the stage that begins with it. */
  readonly stage: number;
  readonly dimension: string;
  /** Name of the ranking. */
  readonly chosen: string;
  /** Mean NLL of each sequence kept aside, after a trial cut in each ranking; none where only one was asked for. */
  readonly tried: readonly { readonly ranking: string; readonly nll: readonly number[] }[];
  /** For each block all its units, most important first, or null where it lacks the dimension. */
  readonly units: readonly (readonly number[] | null)[];
  readonly cost: Cost;
}

/** What a search asks for when a stage begins that narrows blocks. */
export interface RankRequest {
  readonly dimension: string;
  readonly shape: Shape;
  /** What the stage is to save, in per cent of what the dense model takes. */
  readonly percent: number;
  readonly resource: ShapeResource;
}

/** Ranks the units of blocks, and lays them out so: a stage asks for all its rankings, then has them applied. */
export interface Ranker {
  rank(
    request: RankRequest,
  ): Promise<Pick<RankingLine, "chosen" | "tried" | "units">>;
  /** Lays the units out as a ranking says; kept hidden states are out of date afterwards. */
  apply(ranking: Pick<RankingLine, "dimension" | "units">): Promise<void>;
}
