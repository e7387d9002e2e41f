import { headCostInBlocks, type LayerSpec } from "@lopper/core";
import type { ResidentDecoder } from "@lopper/runtime";
import { batchNumbers, type BatchOptions, forwardCost } from "./batches.ts";
import { type CalibrationSet, tokenCount } from "./calibration.ts";
import { perplexity, sequenceMeans } from "./perplexity.ts";
import type { Scorable, Score, Scorer } from "./scorer.ts";

/**
 * Scores on a device that holds the weights: every candidate is a full forward pass that moves token ids in and one number
 * a token out. Twice the block-tokens of scoring by suffix, and no weight or residual stream crosses the bus; with no
 * streams to look at, there are no perturbations.
 */
export class ResidentScorer implements Scorer {
  readonly tokens: number;
  readonly length: number;
  readonly batches: readonly (readonly number[])[];
  readonly keptBatches: number;
  readonly #decoder: ResidentDecoder;
  readonly #calibration: CalibrationSet;

  constructor(decoder: ResidentDecoder, calibration: CalibrationSet, options: BatchOptions = {}) {
    this.#decoder = decoder;
    this.#calibration = calibration;
    this.length = calibration.length;
    this.tokens = tokenCount(calibration);
    this.batches = batchNumbers(calibration, options);
    // Nothing is kept, so nothing is lost by going on to another batch.
    this.keptBatches = this.batches.length;
  }

  fullCost(layers: readonly LayerSpec[]): number {
    return forwardCost(layers, this.tokens, headCostInBlocks(this.#decoder.spec, this.length));
  }

  async evaluate(
    layers: readonly LayerSpec[],
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score> {
    const means = new Array<number>(this.#calibration.sequences.length);
    let done = 0;
    for (const [b, numbers] of this.batches.entries()) {
      (await this.#means(layers, b)).forEach((mean, i) => means[numbers[i]] = mean);
      done += numbers.length * this.length;
      onProgress?.(done);
    }
    return { perplexity: perplexity(means), sequenceNll: means };
  }

  score(
    trunk: readonly LayerSpec[],
    candidate: Scorable | null,
    batch: number,
  ): Promise<readonly number[]> {
    return this.#means(candidate?.layers ?? trunk, batch);
  }

  favour() {}

  release() {}

  async #means(layers: readonly LayerSpec[], batch: number): Promise<readonly number[]> {
    const sequences = this.batches[batch].map((i) => this.#calibration.sequences[i]);
    const nll = await this.#decoder.nll(layers, sequences);
    return sequenceMeans(nll, sequences, this.#calibration.ignoredLabel);
  }
}
