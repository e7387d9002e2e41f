import type {
  Evidence,
  Measure,
  RankingLine,
  RecoveryLine,
  Step,
  SwapLine,
} from "./journal_lines.ts";

/**
 * What a journal holds: the steps, and what was found out in them and in the one that was cut off.
 */
export interface History {
  readonly steps: readonly Step[];
  readonly evidence: readonly Evidence[];
  readonly measures: readonly Measure[];
  /** Rankings that stages began with. */
  readonly rankings: readonly RankingLine[];
  /** What was tried to refit what a search left. */
  readonly refits: readonly RecoveryLine[];
  /** Swaps that were tried when a target was reached. */
  readonly swaps: readonly SwapLine[];
}

/** Of a search that begins. */
export const NO_HISTORY: History = {
  steps: [],
  evidence: [],
  measures: [],
  rankings: [],
  refits: [],
  swaps: [],
};
