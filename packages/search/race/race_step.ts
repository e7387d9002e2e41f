import { indexOfLowest } from "../picker.ts";
import { BASE, type ScoreEvent, type SequenceNll, type StepScores } from "../scores.ts";

/** A step that a race decides. */
export interface RaceStep {
  readonly scores: StepScores;
  /** Its number in the stage. */
  readonly number: number;
  /** All batches, as this step goes through them. */
  readonly batches: readonly number[];
  /**
   * Whether candidates compare by what they add to the base plan's NLL, which then has to be
   * scored, too.
   */
  readonly byLossIncrease: boolean;
}

/** How many sequences there are. */
export function sequencesOf({ scores: { scorer } }: RaceStep): number {
  return scorer.tokens / scorer.length;
}

/**
 * What a race compares: the loss increase, or without a base plan the NLL itself, on the sequences
 * of this step.
 */
export function freshOf({ scores, byLossIncrease }: RaceStep, index: number): SequenceNll {
  return byLossIncrease ? scores.lossIncrease(index) : scores.nll(index);
}

export function everyoneOf({ scores }: RaceStep): number[] {
  return scores.candidates.map((_, i) => i);
}

/** Scores candidates one after the other; the scorer keeps the block inputs of the best of them. */
export async function* scoreEach(
  scores: StepScores,
  indices: readonly number[],
  batches: readonly number[],
): AsyncGenerator<ScoreEvent, void> {
  scores.expect(indices, batches);
  let lowest = Infinity;
  for (const i of indices) {
    yield* scores.score(i, batches);
    if (!(scores.loss(i) < lowest)) continue;
    lowest = scores.loss(i);
    scores.scorer.favour(scores.candidates[i].shape);
  }
}

/** Scores everyone on everything. @returns the best of them, -1 where none is finite. */
export async function* scoreAll(step: RaceStep): AsyncGenerator<ScoreEvent, number> {
  const { scores, batches } = step;
  const everyone = everyoneOf(step);
  if (scores.weighted) {
    scores.expect([BASE, ...everyone], batches);
    yield* scores.scoreBase(batches);
  }
  yield* scoreEach(scores, everyone, batches);
  return indexOfLowest(everyone.map((i) => scores.loss(i)));
}

/** Mean of what is known. */
export function meanOf(values: SequenceNll): number {
  const known = values.filter((value) => value !== undefined);
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
