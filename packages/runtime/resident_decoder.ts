import {
  type Backend,
  bool,
  type Executable,
  float32Data,
  type HostTensor,
  int64,
  type Weights,
} from "@lopper/backends";
import {
  type Architecture,
  axisLength,
  type Block,
  type BlockSize,
  blocksLeft,
  headCostInBlocks,
  headsOf,
  type Shape,
  sizeOf,
  UnsupportedOpError,
} from "@lopper/core";
import {
  type ResidentAttentionOp,
  residentDecoder,
  residentRotaries,
  residentRows,
  residentWeightName,
} from "@lopper/graphs";
import { certain, type Predictions, predictionsFrom } from "./predictions.ts";
import { RotaryFeeds } from "./rope.ts";
import type { LaidOutWeights } from "./weight_layout.ts";

/**
 * Values of the logits or of the attention scores that a run may hold at a time, unless one
 * sequence has more: 1 GiB.
 */
const DEFAULT_RUN_VALUES = 2 ** 28;

export interface ResidentDecoderOptions {
  /**
   * Values of the logits, or of one block's attention scores, that a run may hold at a time; at
   * least one sequence runs.
   */
  readonly runValues?: number;
}

/**
 * A decoder whose weights stay on the device of a backend: it computes what `Decoder` computes, and
 * a run moves token ids in and one number a token out. Made for backends whose description says
 * `residentWeights`, works on all.
 */
export class ResidentDecoder {
  readonly architecture: Architecture;
  readonly blocks: readonly Block[];
  readonly backend: Backend;
  readonly #runValues: number;
  /** Until they are on the device. */
  #weights: LaidOutWeights | null;
  #executable: Promise<Executable> | null = null;
  readonly #rotaries: readonly {
    readonly names: { readonly cos: string; readonly sin: string };
    readonly feeds: RotaryFeeds;
  }[];
  #blockTokens = 0;

  constructor(backend: Backend, weights: LaidOutWeights, options: ResidentDecoderOptions = {}) {
    this.backend = backend;
    this.architecture = weights.architecture;
    this.blocks = weights.architecture.blocks;
    this.#runValues = options.runValues ?? DEFAULT_RUN_VALUES;
    this.#weights = weights;
    this.#rotaries = residentRotaries(this.architecture).map(({ rope, ...names }) => ({
      names,
      feeds: new RotaryFeeds(rope, this.architecture.headDim),
    }));
  }

  /**
   * Blocks run × tokens so far; the head counts as its MACs relative to a mean block (core,
   * `headCostInBlocks`).
   */
  get blockTokens(): number {
    return this.#blockTokens;
  }

  /**
   * Negative log-likelihood in nats of the token after each position of equally long sequences,
   * `[sequences · length]`, under the model of this shape. The last position of a sequence predicts
   * nothing: its label is token 0.
   * @throws as `crossEntropy` does.
   */
  nll(
    shape: Shape,
    sequences: readonly (readonly number[])[],
  ): Promise<Float32Array> {
    const labels = sequences.flatMap((sequence) => [...sequence.slice(1), 0]);
    return this.crossEntropy(shape, sequences, certain(labels));
  }

  /**
   * Cross-entropy in nats with the predictions of another model after each position of equally long
   * sequences, `[sequences · length]`, under the model of this shape.
   * @throws {RangeError} when a block is wider than the checkpoint's, or an id is not in the
   *   vocabulary.
   */
  async crossEntropy(
    shape: Shape,
    sequences: readonly (readonly number[])[],
    predictions: Predictions,
  ): Promise<Float32Array> {
    const { length } = sequences[0];
    this.#check(shape, sequences);
    const executable = await (this.#executable ??= this.#compile());
    const blocks = this.#blockFeeds(shape);
    const out = new Float32Array(sequences.length * length);
    const batch = this.#batchSize(length);
    for (let start = 0; start < sequences.length; start += batch) {
      const part = sequences.slice(start, start + batch);
      const [first, end] = [start * length, (start + part.length) * length];
      const expected = predictionsFrom(predictions, first, end);
      const fetches = await executable.run({ ...this.#tokenFeeds(part), ...expected, ...blocks });
      out.set(float32Data(fetches, "cross_entropy"), first);
    }
    this.#blockTokens += out.length *
      (blocksLeft(shape) + headCostInBlocks(this.architecture, length));
    return out;
  }

  /**
   * Computes with other weights from now on: the device's copies of the earlier ones are released.
   */
  async reload(weights: LaidOutWeights) {
    await this.dispose();
    this.#weights = weights;
  }

  /** Releases the device's memory; harmless when repeated. The backend stays open. */
  async dispose() {
    const executable = this.#executable;
    this.#weights = null;
    this.#executable = null;
    await executable?.then((executable) => executable.dispose(), () => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /**
   * The preferred graph, or the next one where the backend's device has no kernel for an operator
   * of it.
   */
  async #compile(): Promise<Executable> {
    if (!this.#weights) throw new TypeError("the decoder was disposed");
    const { attentionOp, logSoftmax } = this.backend.description;
    const ops: ResidentAttentionOp[] = attentionOp === "attention"
      ? ["attention", "plain"]
      : ["plain"];
    const weights = await residentWeights(this.#weights);
    for (;;) {
      const op = ops.shift()!;
      try {
        const graph = residentDecoder(this.architecture, { op, logSoftmax });
        const executable = await this.backend.compile(graph, weights);
        this.#weights = null;
        return executable;
      } catch (error) {
        if (!(error instanceof UnsupportedOpError) || ops.length === 0) throw error;
      }
    }
  }

  #batchSize(length: number): number {
    const heads = this.blocks.map((block) => block.attention ? headsOf(block).queryHeads : 0);
    const perToken = Math.max(this.architecture.vocabSize, Math.max(0, ...heads) * length);
    return Math.max(1, Math.floor(this.#runValues / (perToken * length)));
  }

  #tokenFeeds(sequences: readonly (readonly number[])[]): Record<string, HostTensor> {
    const [batch, length] = [sequences.length, sequences[0].length];
    const ids = sequences.flat();
    const tables = this.#rotaries.flatMap(({ names, feeds }) => {
      const { cos, sin } = feeds.of(length);
      return [[names.cos, cos], [names.sin, sin]];
    });
    return {
      ids: int64(ids, [batch, length]),
      positions: int64(ids.map((_, i) => i % length), [batch, length]),
      ...Object.fromEntries(tables),
    };
  }

  /** Which blocks run, and how many rows of their weights. */
  #blockFeeds(shape: Shape): Record<string, HostTensor> {
    const feeds: Record<string, HostTensor> = {};
    for (const [number, block] of this.blocks.entries()) {
      const size = shape[number];
      feeds[`${block.id}.keep`] = bool(size !== null);
      for (const [name, axis] of residentRows(block)) {
        feeds[name] = int64([size ? axisLength(axis, size) : 0], [1]);
      }
    }
    return feeds;
  }

  #check(shape: Shape, sequences: readonly (readonly number[])[]) {
    const { vocabSize } = this.architecture;
    const { length } = sequences[0];
    for (const sequence of sequences) {
      if (sequence.length !== length) {
        throw new RangeError(`a sequence has ${sequence.length} tokens and the first ${length}`);
      }
      for (const id of sequence) {
        if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
          throw new RangeError(`token id ${id} is not in the vocabulary, 0 to ${vocabSize - 1}`);
        }
      }
    }
    // A graph would take what there is of rows that are not there, and say nothing.
    const fits = shape.length === this.blocks.length &&
      shape.every((size, number) => !size || isWithin(size, sizeOf(this.blocks[number])));
    if (!fits) {
      throw new RangeError(
        "the blocks are not those of the checkpoint, or some of them, with as many units or fewer",
      );
    }
  }
}

function isWithin(size: BlockSize, most: BlockSize): boolean {
  return Object.entries(most).every(([dimension, units]) => {
    const left = size[dimension];
    return Number.isInteger(left) && left >= 1 && left <= units;
  });
}

/** All weights under the names that `residentDecoder` gives them, at full width. */
async function residentWeights(weights: LaidOutWeights): Promise<Weights> {
  const { architecture } = weights;
  const all: Record<string, Float32Array> = {};
  // Weights may lie in a buffer that the next use overwrites, and the engine takes all of them at
  // once.
  const put = (name: string, data: Float32Array) => all[name] = data.slice();
  for (const [number, block] of architecture.blocks.entries()) {
    for (const { name, data } of await weights.block(number, sizeOf(block))) {
      put(residentWeightName(block, name), data);
    }
  }
  for (const [name, data] of Object.entries(weights.headVectors)) put(name, data);
  if (weights.positions) put("position_rows", weights.positions);
  put("lm_head", weights.lmHead());
  if (!architecture.tiedEmbeddings) {
    all.embedding = weights.rowsOf(Array.from({ length: architecture.vocabSize }, (_, id) => id));
  }
  return all;
}
