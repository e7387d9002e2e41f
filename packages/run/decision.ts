import type { PrunePlan, Shape } from "@lopper/core";
import type { FrontierStep, SwapPhase } from "@lopper/search";
import type { EarlyStop, RunRecord, StageRanking } from "./schemas/record.ts";

/** What to keep of a model, and what it took to decide. */
export interface Decision {
  readonly plan: PrunePlan;
  readonly shape: Shape;
  /** Published ratio in per cent. */
  readonly ratio: number;
  /** The steps that led there; none where a plan file says what stays. */
  readonly frontier: readonly FrontierStep[];
  /** The swaps between these steps and after them. */
  readonly swaps: readonly SwapPhase[];
  readonly stopped: EarlyStop | null;
  readonly rankings: readonly StageRanking[];
  /**
   * Block-tokens of the search, and what full forward passes for the same candidates would have
   * cost.
   */
  readonly blockTokens: Pick<RunRecord["blockTokens"], "spent" | "full">;
}
