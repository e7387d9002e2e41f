import type { Shape } from "@lopper/core";
import type { Judge } from "./batch_losses.ts";
import type { BatchOptions } from "./batches.ts";

/**
 * What is scored: what would remain, and the number of the first block in which it differs from the
 * current plan.
 */
export interface Scorable {
  readonly shape: Shape;
  readonly first: number;
}

export interface Score {
  readonly perplexity: number;
  /** Mean NLL of each calibration sequence, in nats per token: what paired comparisons need. */
  readonly sequenceNll: readonly number[];
}

/**
 * Scores candidates against a calibration set, batch by batch of its sequences. Who decides what is
 * scored on how much is the search's business. A scorer that is given a judge has the loss of its
 * criterion wherever an NLL is spoken of.
 */
export interface Scorer {
  /** Tokens of all sequences. */
  readonly tokens: number;
  /** Tokens of one sequence. */
  readonly length: number;
  /**
   * The sequences that run together, by their numbers in the set; every sequence is in one batch.
   */
  readonly batches: readonly (readonly number[])[];
  /**
   * Batches whose block inputs are kept at a time; scoring more than these in turn runs the base
   * plan again and again.
   */
  readonly keptBatches: number;
  /** Block-tokens of one full forward pass over all sequences. */
  fullCost(shape: Shape): number;
  /** Scores a whole model on everything. `onProgress` hears the tokens done after each batch. */
  evaluate(
    shape: Shape,
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score>;
  /**
   * Mean NLL of each sequence of a batch under a candidate, or under the base plan itself (null).
   */
  score(
    base: Shape,
    candidate: Scorable | null,
    batch: number,
  ): Promise<readonly number[]>;
  /**
   * How far a candidate moves the output of the last block that it changes, relative to the
   * hidden states there: the mean over a batch's tokens of ‖h′ − h‖² / ‖h‖². It runs the blocks
   * from the first changed one to the last, which as a rule is one block. Not every scorer can
   * tell.
   */
  perturbation?(
    base: Shape,
    candidate: Scorable,
    batch: number,
  ): Promise<number>;
  /**
   * Says what will certainly be asked for next, so that a scorer whose work is done elsewhere may
   * have all of it begin at once. It decides nothing.
   * @param candidates null for the base plan itself.
   * @param what `score` or `perturbation` will be asked.
   */
  expect?(
    base: Shape,
    candidates: readonly (Scorable | null)[],
    batch: number,
    what: "score" | "perturbation",
  ): void;
  /**
   * Says that what was scored last, of this shape, may be taken: its block inputs are worth
   * keeping.
   */
  favour(shape: Shape): void;
  /** Lets go of kept block inputs; scoring again starts from the embedding. */
  release(): void;
}

export interface ScorerOptions extends BatchOptions {
  /** What candidates are judged by; without it, they are by the NLL of the text. */
  readonly judge?: Judge;
}
