import type { RehearsedStep } from "./rehearsed_step.ts";
import type { ScoreEvent, StepScores } from "./scores.ts";

/**
 * Decides which candidate a step takes: the part of the search that can be exchanged. A picker
 * scores what it needs, ends with the taken candidate scored on every sequence, and draws nothing
 * from outside, so that the same scores give the same decision.
 */
export interface Picker {
  /**
   * Picks from `scores.candidates`, of which there is at least one.
   * @param firstOfStage whether the kinds of candidates differ from those of the step before.
   * @returns the index of the taken candidate, or −1 when none has a finite perplexity.
   */
  pick(scores: StepScores, firstOfStage: boolean): AsyncGenerator<ScoreEvent, number>;
  /**
   * Candidate-tokens that a step is expected to score, for an estimate of the time left.
   * @param tokens that its candidates may be scored on.
   */
  expectedTokens(step: Omit<RehearsedStep, "samples">, tokens: number): number;
}

/**
 * The index of the lowest value, the first of equal ones; −1 when none is finite. NaN never wins.
 */
export function indexOfLowest(values: readonly number[]): number {
  let best = -1;
  values.forEach((value, i) => {
    if (value < (best < 0 ? Infinity : values[best])) best = i;
  });
  return best;
}
