/** A continuation whose log-likelihood after a context is asked for. */
export interface TextRequest {
  readonly context: string;
  /** With the space that separates it from the context. */
  readonly continuation: string;
}

/** A question with several answers, one of them right; the likeliest is the model's. */
export interface ChoiceQuestion {
  readonly kind: "choice";
  /** One for each answer. */
  readonly requests: readonly TextRequest[];
  /** Number of the right answer. */
  readonly gold: number;
  /**
   * Unicode code points of each answer without what separates it from the context: what acc_norm
   * divides by.
   */
  readonly lengths: readonly number[];
}

/** A text whose end is to be guessed: right when each of its tokens is the likeliest. */
export interface ClozeQuestion {
  readonly kind: "cloze";
  readonly requests: readonly [TextRequest];
}

export type Question = ChoiceQuestion | ClozeQuestion;

export type MetricName = "acc" | "acc_norm" | "perplexity";

/** A benchmark: what its rows are, and what is reported. */
export interface Task {
  /** As lm-evaluation-harness calls it. */
  readonly name: string;
  readonly metrics: readonly MetricName[];
  /**
   * The question that a row of the data set asks.
   * @throws {EvaluationError} when the row is not of a form that is known; `place` names it in the
   *   message.
   */
  question(row: unknown, place: string): Question;
}

/**
 * The separator between question and answer in all tasks here (the harness's `target_delimiter`).
 */
const DELIMITER = " ";

/** A question whose answers continue the same context. */
export function answersTo(
  context: string,
  answers: readonly string[],
  gold: number,
): ChoiceQuestion {
  return {
    kind: "choice",
    requests: answers.map((answer) => ({ context, continuation: DELIMITER + answer })),
    gold,
    lengths: answers.map(codePoints),
  };
}

/**
 * A question whose answers stand in the context, before the same continuation ("partial
 * evaluation").
 */
export function answersBefore(
  contexts: readonly string[],
  continuation: string,
  gold: number,
): ChoiceQuestion {
  return {
    kind: "choice",
    requests: contexts.map((context) => ({ context, continuation: DELIMITER + continuation })),
    gold,
    lengths: contexts.map(codePoints),
  };
}

function codePoints(text: string): number {
  return Array.from(text).length;
}
