import {
  blockAt,
  blockIndex,
  type BlockKind,
  headCostInBlocks,
  type LayerSpec,
} from "@lopper/core";
import { blockCount, type Decoder, forwardFrom, type Stream } from "@lopper/runtime";
import { batchNumbers, type BatchOptions, forwardCost, sequencesPerBatch } from "./batches.ts";
import { type CalibrationSet, tokenCount } from "./calibration.ts";
import { DensePredictions, tokenLoss } from "./dense_predictions.ts";
import { nextTokens, perplexity, sequenceMeans } from "./perplexity.ts";

/** What is scored: the layers that would remain, and the first block in which they differ from the current plan. */
export interface Scorable {
  readonly layers: readonly LayerSpec[];
  readonly layer: number;
  readonly kind: BlockKind;
}

export interface Score {
  readonly perplexity: number;
  /** Mean NLL of each calibration sequence, in nats per token: what paired comparisons need. */
  readonly sequenceNll: readonly number[];
}

/**
 * Scores candidates against a calibration set, batch by batch of its sequences. Who decides what is scored on how much
 * is the search's business. A scorer that is given the dense model has `divergedNll` wherever an NLL is spoken of.
 */
export interface Scorer {
  /** Tokens of all sequences. */
  readonly tokens: number;
  /** Tokens of one sequence. */
  readonly length: number;
  /** The sequences that run together, by their numbers in the set; every sequence is in one batch. */
  readonly batches: readonly (readonly number[])[];
  /** Batches whose block inputs are kept at a time; scoring more than these in turn runs the trunk again and again. */
  readonly keptBatches: number;
  /** Block-tokens of one full forward pass over all sequences. */
  fullCost(layers: readonly LayerSpec[]): number;
  /** Scores a whole model on everything. `onProgress` hears the tokens done after each batch. */
  evaluate(
    layers: readonly LayerSpec[],
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score>;
  /** Mean NLL of each sequence of a batch under a candidate, or under the trunk itself (null). */
  score(
    trunk: readonly LayerSpec[],
    candidate: Scorable | null,
    batch: number,
  ): Promise<readonly number[]>;
  /**
   * How far a candidate moves the output of the last block that it changes, relative to the residual stream there: the
   * mean over a batch's tokens of ‖h′ − h‖² / ‖h‖². It runs the blocks from the first changed one to the last, which as a
   * rule is one block. Not every scorer can tell.
   */
  perturbation?(
    trunk: readonly LayerSpec[],
    candidate: Scorable,
    batch: number,
  ): Promise<number>;
  /** Says that what was scored last, with these layers, may be taken: its block inputs are worth keeping. */
  favour(layers: readonly LayerSpec[]): void;
  /** Lets go of kept block inputs; scoring again starts from the embedding. */
  release(): void;
}

export interface ScorerOptions extends BatchOptions {
  /** Runs the dense model that candidates are scored against; without it, they are scored by the text. */
  readonly dense?: Decoder;
}

export interface SuffixScorerOptions extends ScorerOptions {
  /** Bytes that kept block inputs may take. */
  readonly cacheBytes: number;
}

/** Block inputs are kept of the trunk, of the favoured candidate and of the one being scored. */
const COPIES = 3;

interface Batch {
  readonly sequences: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

/** Inputs of blocks of one batch by block number, and the layers under which they are the inputs. */
interface Kept {
  readonly layers: readonly LayerSpec[];
  readonly streams: Map<number, Stream>;
}

/**
 * Scores by suffix: the current plan (the trunk) keeps the input of every block, and a candidate runs only from the block
 * that it changes. The trunk is extended no further than a candidate asks for, and after a step only from the block that
 * changed on; where the favoured candidate was taken, its block inputs are the trunk's, and no block runs twice.
 * Block inputs are kept for as many batches as fit into `cacheBytes`, for those used last, and for one at least.
 */
export class SuffixScorer implements Scorer {
  readonly tokens: number;
  readonly length: number;
  readonly batches: readonly (readonly number[])[];
  readonly keptBatches: number;
  readonly #decoder: Decoder;
  readonly #calibration: CalibrationSet;
  readonly #batches: readonly Batch[];
  readonly #dense: DensePredictions | undefined;
  readonly #headCost: number;
  /** Whether there is room for the block inputs of candidates beside those of the trunk. */
  readonly #keepsCandidates: boolean;
  /** By batch, least recently used first. */
  readonly #trunk = new Map<number, Kept>();
  readonly #favoured = new Map<number, Kept>();
  /** What was scored last. */
  #running: { layers: readonly LayerSpec[]; batches: Map<number, Kept> } | null = null;

  constructor(decoder: Decoder, calibration: CalibrationSet, options: SuffixScorerOptions) {
    const { length } = calibration;
    this.#decoder = decoder;
    this.#calibration = calibration;
    this.tokens = tokenCount(calibration);
    this.length = length;
    this.#headCost = headCostInBlocks(decoder.spec, length);
    this.batches = batchNumbers(calibration, options);
    this.#batches = this.batches.map((numbers) => {
      const sequences = numbers.map((i) => calibration.sequences[i]);
      return { sequences, labels: nextTokens(sequences) };
    });
    this.#dense = options.dense && new DensePredictions(options.dense, calibration, this.batches);
    const copy = keptBytes(decoder.spec, length, options.batchTokens);
    const room = Math.floor(options.cacheBytes / (COPIES * copy));
    this.#keepsCandidates = room >= 1;
    this.keptBatches = Math.max(1, Math.min(room, this.#batches.length));
  }

  /**
   * Has the dense model say what candidates are scored against, where they are. A run that goes on scores alike if that is
   * done before weights are put in another order. `onProgress` hears the sequences done.
   */
  async prepare(onProgress?: (done: number) => void): Promise<void> {
    await this.#dense?.prepare(onProgress);
  }

  fullCost(layers: readonly LayerSpec[]): number {
    return forwardCost(layers, this.tokens, this.#headCost);
  }

  release() {
    this.#trunk.clear();
    this.#favoured.clear();
    this.#running = null;
  }

  async evaluate(
    layers: readonly LayerSpec[],
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score> {
    const means = new Array<number>(this.#calibration.sequences.length);
    for await (const { batch, stream } of this.#wholePasses(layers, onProgress)) {
      const found = await this.#means(stream, batch);
      found.forEach((mean, i) => means[this.batches[batch][i]] = mean);
    }
    return { perplexity: perplexity(means), sequenceNll: means };
  }

  /**
   * NLL of a whole model after every position of every sequence, `[sequences · length]` in nats; the last position of each
   * predicts nothing. `onProgress` hears the tokens done after each batch.
   */
  async tokenNll(
    layers: readonly LayerSpec[],
    onProgress?: (tokensDone: number) => void,
  ): Promise<Float32Array> {
    const all = new Float32Array(this.tokens);
    for await (const { batch, stream } of this.#wholePasses(layers, onProgress)) {
      const nll = await this.#decoder.nll(stream, this.#batches[batch].labels);
      this.batches[batch].forEach((sequence, i) =>
        all.set(nll.subarray(i * this.length, (i + 1) * this.length), sequence * this.length)
      );
    }
    return all;
  }

  /** What the head reads of a whole model, batch by batch. */
  async *#wholePasses(layers: readonly LayerSpec[], onProgress?: (tokensDone: number) => void) {
    let done = 0;
    for (const [batch, { sequences }] of this.#batches.entries()) {
      const input = await this.#decoder.embed(sequences);
      yield { batch, stream: await forwardFrom(this.#decoder, layers, 0, input) };
      done += sequences.length * this.length;
      onProgress?.(done);
    }
  }

  async score(
    trunk: readonly LayerSpec[],
    candidate: Scorable | null,
    batch: number,
  ): Promise<readonly number[]> {
    if (!candidate) {
      const output = await this.#input(trunk, blockCount(trunk), batch);
      return await this.#means(output, batch);
    }
    const first = blockIndex(candidate);
    const input = await this.#input(trunk, first, batch);
    const streams = this.#keepsCandidates ? new Map<number, Stream>() : undefined;
    const output = await forwardFrom(this.#decoder, candidate.layers, first, input, streams);
    if (streams) {
      if (this.#running?.layers !== candidate.layers) {
        this.#running = { layers: candidate.layers, batches: new Map() };
      }
      this.#running.batches.set(batch, { layers: candidate.layers, streams });
    }
    return await this.#means(output, batch);
  }

  async perturbation(
    trunk: readonly LayerSpec[],
    candidate: Scorable,
    batch: number,
  ): Promise<number> {
    const first = blockIndex(candidate);
    const end = lastDifference(trunk, candidate.layers) + 1;
    const output = await this.#input(trunk, end, batch);
    let moved = await this.#input(trunk, first, batch);
    for (let block = first; block < end; block++) {
      moved = await this.#decoder.runBlock(block, candidate.layers, moved);
    }
    return meanSquaredChange(output.data, moved.data, this.#decoder.spec.hiddenSize);
  }

  favour(layers: readonly LayerSpec[]) {
    if (this.#running?.layers !== layers) return;
    for (const [batch, kept] of this.#running.batches) this.#favoured.set(batch, kept);
    this.#running = null;
  }

  /** The input of a block under the trunk, from what is kept where it is. */
  async #input(trunk: readonly LayerSpec[], block: number, batch: number): Promise<Stream> {
    const { streams } = this.#adopt(trunk, batch);
    let at = block;
    while (at > 0 && !streams.has(at)) at--;
    let stream = streams.get(at) ?? await this.#decoder.embed(this.#batches[batch].sequences);
    streams.set(at, stream);
    for (; at < block; at++) {
      stream = await this.#decoder.runBlock(at, trunk, stream);
      streams.set(at + 1, stream);
    }
    return stream;
  }

  /** What is kept of a batch, reduced to what is true under `trunk`. */
  #adopt(trunk: readonly LayerSpec[], batch: number): Kept {
    const old = this.#trunk.get(batch);
    const favoured = this.#favoured.get(batch);
    const streams = new Map<number, Stream>();
    if (old) {
      const valid = firstDifference(old.layers, trunk);
      for (const [block, stream] of old.streams) if (block <= valid) streams.set(block, stream);
    }
    if (old?.layers !== trunk && favoured) {
      if (firstDifference(favoured.layers, trunk) === blockCount(trunk)) {
        for (const [block, stream] of favoured.streams) streams.set(block, stream);
      }
      this.#favoured.delete(batch);
    }
    const kept = { layers: trunk, streams };
    // Deleting first moves it to the end: the batch used last.
    this.#trunk.delete(batch);
    this.#trunk.set(batch, kept);
    for (const oldest of this.#trunk.keys()) {
      if (this.#trunk.size <= this.keptBatches) break;
      this.#trunk.delete(oldest);
      this.#favoured.delete(oldest);
      this.#running?.batches.delete(oldest);
    }
    return kept;
  }

  async #means(output: Stream, batch: number): Promise<readonly number[]> {
    const { sequences, labels } = this.#batches[batch];
    const loss = await tokenLoss(this.#decoder, output, labels, await this.#dense?.of(batch));
    return sequenceMeans(loss, sequences, this.#calibration.ignoredLabel);
  }
}

/** Bytes of one copy of all block inputs of a batch, in float32. */
export function keptBytes(
  spec: { readonly layers: readonly LayerSpec[]; readonly hiddenSize: number },
  length: number,
  batchTokens?: number,
): number {
  const tokens = sequencesPerBatch(length, batchTokens) * length;
  return (blockCount(spec.layers) + 1) * spec.hiddenSize * 4 * tokens;
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
    // A token whose stream is all 0 moves infinitely far, or not at all.
    if (change > 0) sum += change / norm;
  }
  return sum / (before.length / size);
}

/** The first block in which two plans of one model differ; the number of blocks when they are the same. */
function firstDifference(a: readonly LayerSpec[], b: readonly LayerSpec[]): number {
  for (let block = 0; block < blockCount(a); block++) if (differs(block, a, b)) return block;
  return blockCount(a);
}

/** The last such block; −1 when they are the same. */
function lastDifference(a: readonly LayerSpec[], b: readonly LayerSpec[]): number {
  for (let block = blockCount(a) - 1; block >= 0; block--) if (differs(block, a, b)) return block;
  return -1;
}

function differs(block: number, a: readonly LayerSpec[], b: readonly LayerSpec[]): boolean {
  const { layer, kind } = blockAt(block);
  return kind === "attention"
    ? a[layer].attention?.kvHeads !== b[layer].attention?.kvHeads
    : a[layer].mlp?.intermediateSize !== b[layer].mlp?.intermediateSize;
}
