import type { Block, FloatDType, Shape } from "@lopper/core";
import type { CalibrationSet, Criterion } from "@lopper/importance";
import type { Decoder } from "@lopper/runtime";
import type { Cost, RecoveryLine } from "@lopper/search";

/** The model whose projections are refitted. */
export interface RefitModel {
  /** Its weights are refitted in place; they begin as the checkpoint has them, kept units first. */
  readonly decoder: Decoder;
  /** What the plan leaves. */
  readonly shape: Shape;
  /** The dtype in which the checkpoint has the output projection of a block. */
  readonly dtypeOf: (block: Block) => FloatDType;
}

/** No text decides on what it was used for before. */
export interface RefitTexts {
  /** Text that weights are fitted on, of `refitTokens` at most for `refitBytes` to hold. */
  readonly calibration: CalibrationSet;
  /** Text that each refit is chosen on. */
  readonly validation: CalibrationSet;
  /** Text that chooses nothing, and decides whether all refits together stay. */
  readonly test: CalibrationSet;
  readonly batchTokens: number;
}

/** How a recovery goes on from what the search left, and from what an earlier run found out. */
export interface RefitRun {
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
