import { denseShape } from "@lopper/core";
import { type Decoder, forwardFrom, type Predictions } from "@lopper/runtime";
import type { Sequences } from "./calibration.ts";
import { nextTokens } from "./perplexity.ts";

/**
 * Tokens that the dense model's prediction names after each position. All others count as one, so
 * that what is measured is at most the divergence of the whole distributions, and close to it:
 * these have nearly all of the probability.
 */
const NAMED_TOKENS = 128;

/** Bytes of predictions a token of text: a token id and a probability each, and the base. */
export const PREDICTION_BYTES = 12 * NAMED_TOKENS + 4;

/** What the dense model says of a batch of text. */
export interface DenseBatch {
  readonly predictions: Predictions;
  /**
   * Its NLL of the text less the entropy of its predictions, after each position: `[sequences ·
   * length]`, in nats.
   */
  readonly base: Float32Array;
}

/**
 * What the dense model expects after each token of a text, batch by batch: each batch runs through
 * it when it is first asked for, and is kept. The decoder's weights may be laid out by another
 * ranking meanwhile, and no more; since sums then round otherwise, `prepare` has all batches run
 * while they lie as they do.
 */
export class DensePredictions {
  readonly #decoder: Decoder;
  readonly #sequences: Sequences["sequences"];
  readonly #batches: readonly (readonly number[])[];
  readonly #found = new Map<number, DenseBatch>();

  constructor(decoder: Decoder, { sequences }: Sequences, batches: readonly (readonly number[])[]) {
    this.#decoder = decoder;
    this.#sequences = sequences;
    this.#batches = batches;
  }

  /** Runs all batches. `onProgress` hears the sequences done after each; it may throw to stop. */
  async prepare(onProgress?: (done: number) => void): Promise<this> {
    let done = 0;
    for (const [batch, sequences] of this.#batches.entries()) {
      await this.of(batch);
      onProgress?.(done += sequences.length);
    }
    return this;
  }

  async of(batch: number): Promise<DenseBatch> {
    const known = this.#found.get(batch);
    if (known) return known;
    const decoder = this.#decoder;
    const sequences = this.#batches[batch].map((i) => this.#sequences[i]);
    const input = await decoder.embed(sequences);
    const hidden = await forwardFrom(decoder, denseShape(decoder.blocks), 0, input);
    const predictions = await decoder.predictions(hidden, NAMED_TOKENS);
    const entropy = await decoder.crossEntropy(hidden, predictions);
    const nll = await decoder.nll(hidden, nextTokens(sequences));
    const found = { predictions, base: nll.map((value, i) => value - entropy[i]) };
    this.#found.set(batch, found);
    return found;
  }
}
