import type {
  Evidence,
  Measure,
  RankingLine,
  RepairLine,
  Step,
  SwapLine,
} from "./journal_lines.ts";

/** What a journal holds: the steps, and what was found out in them and in the one that was cut off. */
export interface History {
  readonly steps: readonly Step[];
  readonly evidence: readonly Evidence[];
  readonly measures: readonly Measure[];
  /** Rankings that stages began with. */
  readonly rankings: readonly RankingLine[];
  /** What was tried to repair what a search left. */
  readonly repairs: readonly RepairLine[];
  /** Swaps that were tried when a target was reached. */
  readonly swaps: readonly SwapLine[];
}

/** Of a search that begins. */
export const NO_HISTORY: History = {
  steps: [],
  evidence: [],
  measures: [],
  rankings: [],
  repairs: [],
  swaps: [],
};
