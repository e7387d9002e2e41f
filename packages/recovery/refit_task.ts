import type { Products } from "@lopper/algebra";
import type { CalibrationSet, Criterion } from "@lopper/importance";
import type { Cost, RecoveryLine } from "@lopper/search";
import type { Projections } from "./projections.ts";

/** No text decides on what it was used for before. */
export interface RefitTexts {
  /** Text that weights are fitted on, of `refitTokens` at most for `refitKeptBytes` to hold. */
  readonly calibration: CalibrationSet;
  /** Text that each refit is chosen on. */
  readonly validation: CalibrationSet;
  /** Text that chooses nothing, and decides whether all refits together stay. */
  readonly test: CalibrationSet;
  readonly batchTokens: number;
}

/**
 * How projections are refitted: to the dense blocks on dense inputs ("local"), to the dense hidden
 * states in the pruned model ("auto"), or so from where the local fits end ("both").
 */
export type RefitWay = "local" | "auto" | "both";

/** What refits along the stream begin with. */
export interface RefitStart {
  /** What multiplies matrices. */
  readonly products: Products;
  /** Projections that the pruned model has in place of the checkpoint's. */
  readonly from: Projections;
}

/** How a recovery goes on from what the search left, and from what an earlier run found out. */
export interface RefitRun {
  readonly way: RefitWay;
  /** Steps of the search. */
  readonly steps: number;
  /** What each refit is judged by. */
  readonly criterion: Criterion;
  /** Lines of an earlier run; they are believed. */
  readonly recorded: readonly RecoveryLine[];
  readonly measure: () => Cost;
  /** Hears of the blocks done and those to do; may throw to stop. */
  readonly onProgress?: (done: number, total: number) => void;
}
