import type { Picker } from "../picker.ts";
import type { ScoreEvent, StepScores } from "../scores.ts";
import type { Fitter } from "./fitter.ts";

/** Has stages that have a table decided by it, and what is left after it by another picker. */
export class ByTable implements Picker {
  readonly #others: Picker;

  constructor(
    others: Picker,
    /** Fits what cells narrow; null where they are scored as they are. */
    readonly fitter: Fitter | null,
  ) {
    this.#others = others;
  }

  pick(scores: StepScores, firstOfStage: boolean): AsyncGenerator<ScoreEvent, number> {
    return this.#others.pick(scores, firstOfStage);
  }

  expectedTokens(...of: Parameters<Picker["expectedTokens"]>): number {
    return this.#others.expectedTokens(...of);
  }
}
