import { blockIndex, type BlockKind, headCostInBlocks, type LayerSpec } from "@lopper/core";
import { blockCount, type Decoder, forwardFrom, type Stream } from "@lopper/runtime";
import type { CalibrationSet } from "./calibration.ts";
import { nextTokens, perplexity, sequenceMeans } from "./perplexity.ts";

/** What is scored: the layers that would remain, and the one block in which they differ from the current plan. */
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

/** Candidates scored and all of the step; fractions while some of the sequences are done and others are not. */
export interface ScoreProgress {
  readonly done: number;
  readonly total: number;
}

/** Scores candidates against a calibration set. */
export interface Scorer {
  /** Tokens that one candidate is scored on. */
  readonly tokens: number;
  /** Perplexity of a whole model. `onProgress` hears the tokens done after each batch. */
  evaluate(
    layers: readonly LayerSpec[],
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score>;
  /** Scores every candidate of a step; yields progress and returns the scores in the order of `candidates`. */
  scoreStep(
    trunk: readonly LayerSpec[],
    candidates: readonly Scorable[],
  ): AsyncGenerator<ScoreProgress, readonly Score[]>;
  /** Lets go of kept block inputs; scoring again starts from the embedding. */
  release(): void;
  /** Block-tokens that full forward passes for everything scored so far would have cost. */
  readonly fullBlockTokens: number;
}

export interface SuffixScorerOptions {
  /** Bytes that kept block inputs may take. */
  readonly cacheBytes: number;
  /** Tokens that run through a block together. */
  readonly batchTokens?: number;
}

/** Enough to keep a matrix product busy, little enough that a block's activations stay near the caches. */
const DEFAULT_BATCH_TOKENS = 2048;

interface Batch {
  readonly sequences: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

/** Inputs of the blocks of one batch, by block number; a gap was not needed. */
type Streams = Map<number, Stream>;

/**
 * Scores by suffix: the current plan (the trunk) keeps the input of every block, and a candidate runs only from the block
 * that it changes. The block inputs of the best candidate so far are kept too; when it is taken, they are the next trunk, and no block runs twice. Where the block inputs of all sequences
 * do not fit into `cacheBytes`, sequences are worked through in portions that do, each with a trunk pass of its own.
 */
export class SuffixScorer implements Scorer {
  readonly tokens: number;
  readonly #decoder: Decoder;
  readonly #calibration: CalibrationSet;
  readonly #batches: readonly Batch[];
  readonly #portions: readonly (readonly number[])[];
  readonly #headCost: number;
  #full = 0;
  /** The trunk whose streams are kept; only when there is a single portion. */
  #kept: { layers: readonly LayerSpec[]; streams: Streams[] } | null = null;
  /** The best candidate of the running step, ready to become the trunk. */
  #best: { layers: readonly LayerSpec[]; perplexity: number; streams: Streams[] } | null = null;

  constructor(decoder: Decoder, calibration: CalibrationSet, options: SuffixScorerOptions) {
    const { sequences, length } = calibration;
    this.#decoder = decoder;
    this.#calibration = calibration;
    this.tokens = sequences.length * length;
    this.#headCost = headCostInBlocks(decoder.spec, length);
    const perBatch = Math.max(
      1,
      Math.floor((options.batchTokens ?? DEFAULT_BATCH_TOKENS) / length),
    );
    this.#batches = chunks(sequences, perBatch)
      .map((batch) => ({ sequences: batch, labels: nextTokens(batch) }));
    // The trunk, the best candidate and the one being scored.
    const streamBytes = 3 * (blockCount(decoder.spec.layers) + 1) * decoder.spec.hiddenSize * 4;
    const batchBytes = streamBytes * perBatch * length;
    this.#portions = chunks(
      this.#batches.map((_, i) => i),
      Math.max(1, Math.floor(options.cacheBytes / batchBytes)),
    );
  }

  get fullBlockTokens(): number {
    return this.#full;
  }

  release() {
    this.#kept = null;
    this.#best = null;
  }

  async evaluate(
    layers: readonly LayerSpec[],
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score> {
    const means: number[] = [];
    for (const batch of this.#batches) {
      const input = await this.#decoder.embed(batch.sequences);
      means.push(...await this.#batchMeans(layers, 0, input, batch));
      onProgress?.(means.length * this.#calibration.length);
    }
    this.#countFull(layers);
    return { perplexity: perplexity(means), sequenceNll: means };
  }

  async *scoreStep(
    trunk: readonly LayerSpec[],
    candidates: readonly Scorable[],
  ): AsyncGenerator<ScoreProgress, readonly Score[]> {
    const means: number[][] = candidates.map(() => []);
    const scores: Score[] = [];
    const single = this.#portions.length === 1;
    for (const [p, portion] of this.#portions.entries()) {
      const trunkStreams = await this.#trunkStreams(trunk, portion);
      if (single) {
        this.#kept = { layers: trunk, streams: trunkStreams };
        this.#best = null;
      }
      for (const [c, candidate] of candidates.entries()) {
        const scratch: Streams[] = [];
        for (const [i, batch] of portion.entries()) {
          const kept: Streams = new Map();
          const first = blockIndex(candidate);
          const input = trunkStreams[i].get(first)!;
          means[c].push(
            ...await this.#batchMeans(
              candidate.layers,
              first,
              input,
              this.#batches[batch],
              single ? kept : undefined,
            ),
          );
          scratch.push(kept);
          const scored = c + (i + 1) / portion.length;
          const done = (p * candidates.length + scored) / this.#portions.length;
          yield { done, total: candidates.length };
        }
        if (p === this.#portions.length - 1) {
          const score = { perplexity: perplexity(means[c]), sequenceNll: means[c] };
          scores.push(score);
          this.#countFull(candidate.layers);
          if (single) this.#keepIfBest(candidate, score, trunkStreams, scratch);
        }
      }
    }
    return scores;
  }

  /** The first of equal candidates stays the best and NaN never is, as the search takes it. */
  #keepIfBest(candidate: Scorable, score: Score, trunk: Streams[], suffix: Streams[]) {
    if (!(score.perplexity < (this.#best?.perplexity ?? Infinity))) return;
    const streams = suffix.map((kept, i): Streams => new Map([...trunk[i], ...kept]));
    this.#best = { layers: candidate.layers, perplexity: score.perplexity, streams };
  }

  /** Inputs of every block of the trunk for the batches of a portion, from what is kept where it is. */
  async #trunkStreams(trunk: readonly LayerSpec[], portion: readonly number[]): Promise<Streams[]> {
    const best = this.#best;
    if (best && firstDifference(best.layers, trunk) === blockCount(trunk)) return best.streams;
    const kept = this.#kept;
    const first = kept ? firstDifference(kept.layers, trunk) : 0;
    const result: Streams[] = [];
    for (const [i, b] of portion.entries()) {
      const old = kept?.streams[i];
      const input = old?.get(first) ?? await this.#decoder.embed(this.#batches[b].sequences);
      const streams: Streams = new Map();
      if (old) { for (const [block, s] of old) if (block < first) streams.set(block, s); }
      await forwardFrom(this.#decoder, trunk, old ? first : 0, input, streams);
      result.push(streams);
    }
    return result;
  }

  async #batchMeans(
    layers: readonly LayerSpec[],
    first: number,
    input: Stream,
    batch: Batch,
    keep?: Streams,
  ): Promise<readonly number[]> {
    const stream = await forwardFrom(this.#decoder, layers, first, input, keep);
    const nll = await this.#decoder.nll(stream, batch.labels);
    return sequenceMeans(nll, batch.sequences, this.#calibration.ignoredLabel);
  }

  #countFull(layers: readonly LayerSpec[]) {
    const blocks = layers.reduce((n, l) => n + (l.attention ? 1 : 0) + (l.mlp ? 1 : 0), 0);
    this.#full += this.tokens * (blocks + this.#headCost);
  }
}

/** The first block in which two plans of one model differ; the number of blocks when they are the same. */
function firstDifference(a: readonly LayerSpec[], b: readonly LayerSpec[]): number {
  for (let layer = 0; layer < a.length; layer++) {
    if (a[layer].attention?.kvHeads !== b[layer].attention?.kvHeads) return 2 * layer;
    if (a[layer].mlp?.intermediateSize !== b[layer].mlp?.intermediateSize) return 2 * layer + 1;
  }
  return blockCount(a);
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const result: T[][] = [];
  for (let i = 0; i < items.length; i += size) result.push(items.slice(i, i + size));
  return result;
}
