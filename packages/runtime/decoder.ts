import type { Backend } from "@lopper/backends";
import { type Architecture, type Block, headCostInBlocks, type Shape } from "@lopper/core";
import type { Capture } from "@lopper/graphs";
import { Blocks } from "./blocks.ts";
import { GraphRuns } from "./graph_runs.ts";
import { Heads, type TokenLogProbs, type TokenPick } from "./heads.ts";
import { certain, type Predictions } from "./predictions.ts";
import type { AttentionMask, HiddenStates, KeyValues } from "./hidden_states.ts";
import type { ExpertSums, RoutedOutput } from "./mixtures.ts";
import type { LaidOutWeights } from "./weight_layout.ts";

/**
 * A block's output, and what was captured of the activation that enters its last projection, down
 * or o.
 */
export interface BlockCapture {
  readonly hidden: HiddenStates;
  /**
   * `energy`: the sum over all tokens of the squares of each inner channel, `[channels]`. `values`:
   * all of them, `[batch · length, channels]`. In the order in which the weights are laid out.
   */
  readonly captured: Float32Array;
}

/**
 * A decoder that runs block by block. It holds weights and compiled graphs and no state of any
 * text: every method maps inputs to outputs. The shape of the model is an argument, so that one
 * decoder serves every candidate.
 */
export class Decoder {
  readonly architecture: Architecture;
  /** Those of the checkpoint: where a block is meant by a number, it is its place here. */
  readonly blocks: readonly Block[];
  readonly weights: LaidOutWeights;
  readonly backend: Backend;
  readonly #runs: GraphRuns;
  readonly #blocks: Blocks;
  readonly #heads: Heads;
  #blockTokens = 0;

  constructor(backend: Backend, weights: LaidOutWeights) {
    this.backend = backend;
    this.weights = weights;
    this.architecture = weights.architecture;
    this.blocks = weights.architecture.blocks;
    this.#runs = new GraphRuns(backend);
    this.#blocks = new Blocks(this.#runs, weights);
    this.#heads = new Heads(this.#runs, weights);
  }

  /**
   * Blocks run × tokens so far; the head counts as its MACs relative to a mean block (core,
   * `headCostInBlocks`).
   */
  get blockTokens(): number {
    return this.#blockTokens;
  }

  /**
   * Embeds equally long sequences of token ids.
   * @param positions where each token of all sequences stands; from 0 on unless said.
   * @throws {RangeError} when an id is not in the vocabulary, or a position not a learned one.
   */
  embed(
    sequences: readonly (readonly number[])[],
    positions: readonly number[] = sequences.flatMap((ids) => ids.map((_, i) => i)),
  ): Promise<HiddenStates> {
    const { length } = sequences[0];
    // A graph would need the whole table in float32 for a few of its rows.
    return Promise.try(() => ({
      batch: sequences.length,
      length,
      data: this.weights.embed(sequences.flat(), positions),
    }));
  }

  /**
   * Runs one block in the size that `shape` gives it; a removed block returns its input. With
   * `mask`, tokens attend to what it says; else each attends to those before it, as far back as the
   * block's window.
   */
  async runBlock(
    number: number,
    shape: Shape,
    input: HiddenStates,
    mask?: AttentionMask,
  ): Promise<HiddenStates> {
    const size = shape[number];
    if (!size) return this.#blocks.passed(number, input);
    this.#blockTokens += input.batch * input.length;
    return (await this.#blocks.run(number, size, input, { mask })).hidden;
  }

  /**
   * What enters the first projections of a block: what it reads, behind its norm where that is
   * before it, `[batch · length, hiddenSize]`.
   */
  blockInput(number: number, input: HiddenStates): Promise<Float32Array> {
    return this.#blocks.input(number, input);
  }

  /**
   * `runBlock` of a block that is there, capturing what enters its last projection.
   * @throws {TypeError} when the block is removed.
   */
  async captureBlock(
    number: number,
    shape: Shape,
    input: HiddenStates,
    capture: Capture,
  ): Promise<BlockCapture> {
    const size = shape[number];
    if (!size) throw new TypeError(`block ${this.blocks[number].id} is gone`);
    this.#blockTokens += input.batch * input.length;
    const { hidden, captured } = await this.#blocks.run(number, size, input, { capture });
    return { hidden, captured: captured! };
  }

  /**
   * `runBlock` of a mixture of experts that is there, with what its experts made of the tokens.
   * @param options.onRouted hears of what each expert adds.
   * @param options.capture whether the energy of their channels is summed up.
   * @throws {TypeError} when the block is removed, or none.
   */
  async captureExperts(
    number: number,
    shape: Shape,
    input: HiddenStates,
    options: { readonly onRouted?: (output: RoutedOutput) => void; readonly capture?: "energy" } =
      {},
  ): Promise<{ readonly hidden: HiddenStates; readonly experts: ExpertSums }> {
    const size = shape[number];
    const { id, routing } = this.blocks[number];
    if (!size || !routing) {
      throw new TypeError(`block ${id} is no mixture of experts that is there`);
    }
    this.#blockTokens += input.batch * input.length;
    const { hidden, experts } = await this.#blocks.run(number, size, input, options);
    return { hidden, experts: experts! };
  }

  /**
   * Runs all blocks on the tokens that follow `past`, and returns the keys and values with them, by
   * the numbers of the blocks that have some. One sequence, or one token each of several that are
   * equally far.
   */
  async runCached(
    shape: Shape,
    input: HiddenStates,
    past: readonly (KeyValues | null)[] | null,
  ): Promise<{ hidden: HiddenStates; present: readonly (KeyValues | null)[] }> {
    const present: (KeyValues | null)[] = [];
    let hidden = input;
    for (let block = 0; block < shape.length; block++) {
      const result = await this.runBlockCached(block, shape, hidden, past?.[block] ?? null);
      present.push(result.present);
      hidden = result.hidden;
    }
    return { hidden, present };
  }

  /** One block as `runCached` runs it; where it was removed, the input comes back. */
  async runBlockCached(
    number: number,
    shape: Shape,
    input: HiddenStates,
    past: KeyValues | null,
  ): Promise<{ hidden: HiddenStates; present: KeyValues | null }> {
    const size = shape[number];
    if (!size || !this.blocks[number].attention) {
      return { hidden: await this.runBlock(number, shape, input), present: null };
    }
    const empty = { length: 0, keys: new Float32Array(0), values: new Float32Array(0) };
    this.#blockTokens += input.batch * input.length;
    return await this.#blocks.run(number, size, input, { past: past ?? empty });
  }

  /**
   * Negative log-likelihood in nats of `labels[i]` after position i of the flattened batch `[batch
   * · length]`.
   */
  nll(hidden: HiddenStates, labels: readonly number[]): Promise<Float32Array> {
    return this.crossEntropy(hidden, certain(labels));
  }

  /**
   * Cross-entropy in nats with the predictions of another model after each position, `[batch ·
   * length]`.
   */
  crossEntropy(hidden: HiddenStates, predictions: Predictions): Promise<Float32Array> {
    this.#countHead(hidden.batch, hidden.length);
    return this.#heads.crossEntropy(hidden.data, predictions);
  }

  /** What the model expects after each position, with its likeliest `count` tokens named. */
  predictions(hidden: HiddenStates, count: number): Promise<Predictions> {
    this.#countHead(hidden.batch, hidden.length);
    return this.#heads.predictions(hidden.data, count);
  }

  /**
   * Log-probabilities of chosen tokens after rows of hidden states, and the likeliest token after
   * each row.
   * @param rows `[n, hiddenSize]`
   * @param picks which token after which row, in the order of the rows.
   */
  tokenLogProbs(rows: Float32Array, picks: readonly TokenPick[]): Promise<TokenLogProbs> {
    this.#countHead(rows.length / this.architecture.hiddenSize, 1);
    return this.#heads.tokenLogProbs(rows, picks);
  }

  /** Logits `[rows, vocabSize]` of the given rows `[rows, hiddenSize]` of hidden states. */
  logits(rows: Float32Array): Promise<Float32Array> {
    this.#countHead(rows.length / this.architecture.hiddenSize, 1);
    return this.#heads.logits(rows);
  }

  /** Releases the compiled graphs. The backend stays open. */
  dispose(): Promise<void> {
    return this.#runs.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #countHead(batch: number, length: number) {
    this.#blockTokens += headCostInBlocks(this.architecture, length) * (batch * length);
  }
}
