import type { Predictions } from "@lopper/runtime";
import type { DenseBatch } from "../dense_predictions.ts";

/**
 * What candidates and refits are judged by: a loss of every token, the lower the better. One file
 * each, and a line of the list in `mod.ts`.
 */
export type Criterion = TextCriterion | PredictionCriterion;

interface Named {
  /** As `--criterion` has it. */
  readonly name: string;
  /** What it is, in a few words for the help. */
  readonly is: string;
  /**
   * What the perplexities of steps are where they are judged so, a sentence; null where they are
   * what the word says.
   */
  readonly note: string | null;
}

/**
 * A model that has read a batch of text, and is asked what it expected after each position:
 * `[sequences · length]`, in nats.
 */
export interface ReadBatch {
  /** Negative log-likelihoods of the tokens that follow; of the last of a sequence, any number. */
  nll(): Promise<Float32Array>;
  /** Cross-entropies of what it expects with the predictions of another model. */
  crossEntropy(predictions: Predictions): Promise<Float32Array>;
}

/** It goes by the text alone. */
export interface TextCriterion extends Named {
  readonly needs: "text";
  loss(read: ReadBatch): Promise<Float32Array>;
}

/**
 * It goes by what the dense model says of the text, too, which is asked before the search begins.
 */
export interface PredictionCriterion extends Named {
  readonly needs: "predictions";
  loss(read: ReadBatch, dense: DenseBatch): Promise<Float32Array>;
}
