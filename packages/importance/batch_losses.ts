import type { Decoder, HiddenStates } from "@lopper/runtime";
import type { Sequences } from "./calibration.ts";
import type { Criterion, ReadBatch } from "./criteria/criterion.ts";
import { perplexity } from "./criteria/perplexity.ts";
import { DensePredictions } from "./dense_predictions.ts";

/**
 * What losses are measured by, and the dense model, which is asked where the criterion needs it.
 */
export interface Judge {
  readonly criterion: Criterion;
  readonly dense: Decoder;
}

/** Losses of a text by a criterion, batch by batch; without a judge, the NLL of the text. */
export class BatchLosses {
  readonly #criterion: Criterion;
  readonly #dense: DensePredictions | null;

  constructor(text: Sequences, batches: readonly (readonly number[])[], judge?: Judge) {
    this.#criterion = judge?.criterion ?? perplexity;
    this.#dense = judge ? new DensePredictions(judge.dense, text, batches) : null;
  }

  /**
   * Has the dense model say what the criterion needs of the text. A run that goes on judges alike
   * if that is done before weights are laid out by another ranking. `onProgress` hears the
   * sequences done; it may throw to stop.
   */
  async prepare(onProgress?: (done: number) => void): Promise<void> {
    if (this.#criterion.needs === "predictions") await this.#dense!.prepare(onProgress);
  }

  /** The same of one batch. */
  async prepareBatch(batch: number): Promise<void> {
    if (this.#criterion.needs === "predictions") await this.#dense!.of(batch);
  }

  /** The loss of each position of a batch, `[sequences · length]`, in nats. */
  async of(batch: number, read: ReadBatch): Promise<Float32Array> {
    return this.#criterion.needs === "text"
      ? await this.#criterion.loss(read)
      : await this.#criterion.loss(read, await this.#dense!.of(batch));
  }
}

/** A batch that a decoder has read to the end. @param labels the token after each position. */
export function readBatch(
  decoder: Decoder,
  hidden: HiddenStates,
  labels: readonly number[],
): ReadBatch {
  return {
    nll: () => decoder.nll(hidden, labels),
    crossEntropy: (predictions) => decoder.crossEntropy(hidden, predictions),
  };
}
