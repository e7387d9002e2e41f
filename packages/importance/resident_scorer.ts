import { headCostInBlocks, type Shape } from "@lopper/core";
import type { ResidentDecoder } from "@lopper/runtime";
import { BatchLosses } from "./batch_losses.ts";
import { batchNumbers, forwardCost } from "./batches.ts";
import { type CalibrationSet, tokenCount } from "./calibration.ts";
import { perplexity, sequenceMeans } from "./perplexity.ts";
import type { Scorable, Score, Scorer, ScorerOptions } from "./scorer.ts";

/**
 * Scores on a device that holds the weights: every candidate is a full forward pass that moves
 * token ids in and one number a token out. Twice the block-tokens of scoring by suffix, and no
 * weight or hidden state crosses the bus; with no hidden states to look at, there are no
 * perturbations.
 */
export class ResidentScorer implements Scorer {
  readonly tokens: number;
  readonly length: number;
  readonly batches: readonly (readonly number[])[];
  readonly keptBatches: number;
  readonly #decoder: ResidentDecoder;
  readonly #calibration: CalibrationSet;
  readonly #losses: BatchLosses;

  constructor(decoder: ResidentDecoder, calibration: CalibrationSet, options: ScorerOptions = {}) {
    this.#decoder = decoder;
    this.#calibration = calibration;
    this.length = calibration.length;
    this.tokens = tokenCount(calibration);
    this.batches = batchNumbers(calibration, options);
    this.#losses = new BatchLosses(calibration, this.batches, options.judge);
    // Nothing is kept, so nothing is lost by going on to another batch.
    this.keptBatches = this.batches.length;
  }

  /**
   * Has the dense model say what the criterion needs of the text: a run that goes on scores alike
   * if that is done before weights are laid out by another ranking. `onProgress` hears the
   * sequences done.
   */
  async prepare(onProgress?: (done: number) => void): Promise<void> {
    await this.#losses.prepare(onProgress);
  }

  /** The same for one batch. */
  async prepareBatch(batch: number): Promise<void> {
    await this.#losses.prepareBatch(batch);
  }

  fullCost(shape: Shape): number {
    return forwardCost(
      shape,
      this.tokens,
      headCostInBlocks(this.#decoder.architecture, this.length),
    );
  }

  async evaluate(
    shape: Shape,
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score> {
    const means = new Array<number>(this.#calibration.sequences.length);
    let done = 0;
    for (const [b, numbers] of this.batches.entries()) {
      (await this.#means(shape, b)).forEach((mean, i) => means[numbers[i]] = mean);
      done += numbers.length * this.length;
      onProgress?.(done);
    }
    return { perplexity: perplexity(means), sequenceNll: means };
  }

  score(
    base: Shape,
    candidate: Scorable | null,
    batch: number,
  ): Promise<readonly number[]> {
    return this.#means(candidate?.shape ?? base, batch);
  }

  favour() {}

  release() {}

  async #means(shape: Shape, batch: number): Promise<readonly number[]> {
    const sequences = this.batches[batch].map((i) => this.#calibration.sequences[i]);
    const loss = await this.#losses.of(batch, {
      nll: () => this.#decoder.nll(shape, sequences),
      crossEntropy: (predictions) => this.#decoder.crossEntropy(shape, sequences, predictions),
    });
    return sequenceMeans(loss, sequences, this.#calibration.ignoredLabel);
  }
}
