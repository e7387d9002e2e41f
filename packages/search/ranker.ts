import type { Shape } from "@lopper/core";
import type { Resource } from "@lopper/core";
import type { RankingLine } from "./journal_lines.ts";

/** What a search asks for when a stage begins that narrows blocks. */
export interface RankRequest {
  readonly dimension: string;
  readonly shape: Shape;
  /** What the stage is to save, in per cent of what the dense model takes. */
  readonly percent: number;
  readonly resource: Resource;
}

/**
 * Ranks the units of blocks, and lays them out so: a stage asks for all its rankings, then has them
 * applied.
 */
export interface Ranker {
  rank(
    request: RankRequest,
  ): Promise<Pick<RankingLine, "chosen" | "tried" | "units">>;
  /** Lays the units out as a ranking says; kept hidden states are out of date afterwards. */
  apply(ranking: Pick<RankingLine, "dimension" | "units">): Promise<void>;
}
