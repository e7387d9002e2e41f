import { headCostInBlocks, type Shape, type StopSignal } from "@lopper/core";
import { type Decoder, forwardFrom, type HiddenStates } from "@lopper/runtime";
import { BatchLosses, readBatch } from "./batch_losses.ts";
import { batchNumbers, forwardCost } from "./batches.ts";
import { BlockInputs, keptBytes } from "./block_inputs.ts";
import { type CalibrationSet, tokenCount } from "./calibration.ts";
import { lastDifference } from "./differences.ts";
import { nextTokens, perplexity, sequenceMeans } from "./perplexity.ts";
import type { Scorable, Score, Scorer, ScorerOptions } from "./scorer.ts";
import { SharedPasses } from "./shared_passes.ts";

export interface SuffixScorerOptions extends ScorerOptions {
  /** Bytes that kept block inputs may take, and where blocks stay in the file all hidden states. */
  readonly cacheBytes: number;
  /** Asked between blocks that stay in the file; what it throws, scoring throws. */
  readonly signal?: StopSignal;
}

interface Batch {
  readonly sequences: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

/**
 * Scores by suffix: the base plan, which is the current one, keeps the input of every block, and a
 * candidate runs only from the block that it changes. The base plan is extended no further than a
 * candidate asks for, and after a step only from the block that changed on; where the favoured
 * candidate was taken, its block inputs are the base plan's, and no block runs twice. Block inputs
 * are kept for as many batches as fit into `cacheBytes`, for those used last, and for one at least.
 *
 * Where blocks stay in the file, what is expected runs together, and one batch of the base plan is
 * kept.
 */
export class SuffixScorer implements Scorer {
  readonly tokens: number;
  readonly length: number;
  readonly batches: readonly (readonly number[])[];
  readonly keptBatches: number;
  /** Only where something is gained by it. */
  readonly expect?: NonNullable<Scorer["expect"]>;
  readonly #decoder: Decoder;
  readonly #calibration: CalibrationSet;
  readonly #batches: readonly Batch[];
  readonly #losses: BatchLosses;
  readonly #headCost: number;
  readonly #inputs: BlockInputs;
  /** Null where all blocks are in memory. */
  readonly #shared: SharedPasses | null;

  constructor(decoder: Decoder, calibration: CalibrationSet, options: SuffixScorerOptions) {
    const { length } = calibration;
    this.#decoder = decoder;
    this.#calibration = calibration;
    this.tokens = tokenCount(calibration);
    this.length = length;
    this.#headCost = headCostInBlocks(decoder.architecture, length);
    this.batches = batchNumbers(calibration, options);
    this.#batches = this.batches.map((numbers) => {
      const sequences = numbers.map((i) => calibration.sequences[i]);
      return { sequences, labels: nextTokens(sequences) };
    });
    this.#losses = new BatchLosses(calibration, this.batches, options.judge);
    const copy = keptBytes(decoder.architecture, length, options.batchTokens);
    const isInFile = decoder.weights.blocksInFile > 0;
    const cacheBytes = isInFile ? 0 : options.cacheBytes;
    this.#inputs = new BlockInputs(this.#batches.length, cacheBytes, copy);
    this.keptBatches = this.#inputs.keptBatches;
    const bytes = Math.max(0, options.cacheBytes - copy);
    this.#shared = isInFile ? this.#sharedPasses(bytes, options.signal) : null;
    if (!this.#shared) return;
    this.expect = (base, candidates, batch, what) => {
      if (what === "score") this.#shared!.expect(base, candidates, batch);
    };
  }

  #sharedPasses(bytes: number, signal?: StopSignal): SharedPasses {
    return new SharedPasses({
      ...{ decoder: this.#decoder, inputs: this.#inputs, bytes, signal },
      embed: (batch) => this.#decoder.embed(this.#batches[batch].sequences),
      tokensOf: (batch) => this.#batches[batch].labels.length,
      means: (output, batch) => this.#means(output, batch),
    });
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
    return forwardCost(shape, this.tokens, this.#headCost);
  }

  release() {
    this.#inputs.release();
    this.#shared?.release();
  }

  async evaluate(
    shape: Shape,
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score> {
    const means = new Array<number>(this.#calibration.sequences.length);
    for await (const { batch, hidden } of this.#wholePasses(shape, onProgress)) {
      const found = await this.#means(hidden, batch);
      found.forEach((mean, i) => means[this.batches[batch][i]] = mean);
    }
    return { perplexity: perplexity(means), sequenceNll: means };
  }

  /**
   * NLL of a whole model after every position of every sequence, `[sequences · length]` in nats;
   * the last position of each predicts nothing. `onProgress` hears the tokens done after each
   * batch.
   */
  async tokenNll(
    shape: Shape,
    onProgress?: (tokensDone: number) => void,
  ): Promise<Float32Array> {
    const all = new Float32Array(this.tokens);
    for await (const { batch, hidden } of this.#wholePasses(shape, onProgress)) {
      const nll = await this.#decoder.nll(hidden, this.#batches[batch].labels);
      this.batches[batch].forEach((sequence, i) =>
        all.set(nll.subarray(i * this.length, (i + 1) * this.length), sequence * this.length)
      );
    }
    return all;
  }

  /** What the head reads of a whole model, batch by batch. */
  async *#wholePasses(shape: Shape, onProgress?: (tokensDone: number) => void) {
    let done = 0;
    for (const [batch, { sequences }] of this.#batches.entries()) {
      const input = await this.#decoder.embed(sequences);
      yield { batch, hidden: await forwardFrom(this.#decoder, shape, 0, input) };
      done += sequences.length * this.length;
      onProgress?.(done);
    }
  }

  async score(
    base: Shape,
    candidate: Scorable | null,
    batch: number,
  ): Promise<readonly number[]> {
    if (this.#shared) return await this.#shared.score(base, candidate, batch);
    if (!candidate) {
      const output = await this.#input(base, base.length, batch);
      return await this.#means(output, batch);
    }
    const { shape, first } = candidate;
    const input = await this.#input(base, first, batch);
    const inputs = this.#inputs.keepsCandidates ? new Map<number, HiddenStates>() : undefined;
    const output = await forwardFrom(this.#decoder, shape, first, input, inputs);
    if (inputs) this.#inputs.putRunning(shape, batch, inputs);
    return await this.#means(output, batch);
  }

  async perturbation(
    base: Shape,
    { shape, first }: Scorable,
    batch: number,
  ): Promise<number> {
    const end = lastDifference(base, shape) + 1;
    const output = await this.#input(base, end, batch);
    let moved = await this.#input(base, first, batch);
    for (let block = first; block < end; block++) {
      moved = await this.#decoder.runBlock(block, shape, moved);
    }
    return meanSquaredChange(output.data, moved.data, this.#decoder.architecture.hiddenSize);
  }

  favour(shape: Shape) {
    this.#inputs.favour(shape);
  }

  /** The input of a block under the base plan, from what is kept where it is. */
  async #input(base: Shape, block: number, batch: number): Promise<HiddenStates> {
    const inputs = this.#inputs.ofBase(base, batch);
    let at = block;
    while (at > 0 && !inputs.has(at)) at--;
    let hidden = inputs.get(at) ?? await this.#decoder.embed(this.#batches[batch].sequences);
    inputs.set(at, hidden);
    for (; at < block; at++) {
      hidden = await this.#decoder.runBlock(at, base, hidden);
      inputs.set(at + 1, hidden);
    }
    return hidden;
  }

  async #means(output: HiddenStates, batch: number): Promise<readonly number[]> {
    const { sequences, labels } = this.#batches[batch];
    const loss = await this.#losses.of(batch, readBatch(this.#decoder, output, labels));
    return sequenceMeans(loss, sequences, this.#calibration.ignoredLabel);
  }
}

function meanSquaredChange(before: Float32Array, after: Float32Array, size: number): number {
  let sum = 0;
  for (let start = 0; start < before.length; start += size) {
    let change = 0, norm = 0;
    for (let i = start; i < start + size; i++) {
      const d = after[i] - before[i];
      change += d * d;
      norm += before[i] * before[i];
    }
    // A token whose hidden state is all 0 moves infinitely far, or not at all.
    if (change > 0) sum += change / norm;
  }
  return sum / (before.length / size);
}
