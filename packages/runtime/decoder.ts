import {
  type Backend,
  type BackendDescription,
  type Executable,
  type Feeds,
  float32,
  float32Data,
  int32,
  int64,
  int64Data,
} from "@lopper/backends";
import {
  type AttentionShape,
  blockAt,
  type BlockRef,
  headCostInBlocks,
  type LayerSpec,
  type ModelSpec,
} from "@lopper/core";
import {
  attentionBlock,
  type AttentionOp,
  crossEntropyHead,
  type InnerOutput,
  logitsHead,
  logProbsHead,
  mlpBlock,
  pickedHead,
} from "@lopper/graphs";
import { certain, NamedTokens, type Predictions, predictionsFrom } from "./predictions.ts";
import { type RopeTable, ropeTable } from "./rope.ts";
import { checkSequenceLength } from "./sequence_length.ts";
import type { LaidOutWeights } from "./weight_layout.ts";

/** Values of the logits that the head may hold at a time: two copies of 48 MB stay in the cache's reach. */
export const HEAD_CHUNK_VALUES = 12 * 1024 * 1024;
/** GroupQueryAttention's rotary kernel takes head sizes that are multiples of this. */
const GQA_HEAD_MULTIPLE = 16;
/** Queries of a chunk of GroupQueryAttention: 9 heads over 2048 tokens were fastest with 256 (of 128 to 2048). */
export const ATTENTION_CHUNK = 256;

/** Names of the fetches that tell of a block's inside. */
const INNER_FETCH = { energy: "energy", values: "inner" } as const;

/** Head counts of operators that read them from the shapes of their inputs. */
const NO_HEADS: AttentionShape = { queryHeads: 0, kvHeads: 0 };

/** The operator that computes attention of a model on a backend. */
export function attentionOpFor(spec: ModelSpec, { attentionOp }: BackendDescription): AttentionOp {
  const fits = attentionOp !== "gqa" || spec.headDim % GQA_HEAD_MULTIPLE === 0;
  return fits ? attentionOp : "attention";
}

/** In how many chunks the queries of a batch of sequences go through attention. */
export function attentionChunks(op: AttentionOp, batch: number, length: number): number {
  // GroupQueryAttention takes a past beside more than one query for a batch of one only.
  const possible = op === "attention" || (op === "gqa" && batch === 1);
  return possible ? Math.max(1, Math.floor(length / ATTENTION_CHUNK)) : 1;
}

/** A batch of equally long sequences in the residual stream: `data` is `[batch, length, hiddenSize]`. */
export interface Stream {
  readonly batch: number;
  readonly length: number;
  readonly data: Float32Array;
}

/** What the tokens of a batch see, when its rows are not sequences of text. */
export interface Sight {
  /** Position of each token for the rotary embedding, `[batch · length]`. */
  readonly positions: readonly number[];
  /** Added to the attention scores, 0 or a large negative number: `[batch, length, length]`, query by key. */
  readonly mask: Float32Array;
}

/** Log-probabilities of tokens, in nats, and what is likeliest. */
export interface Picked {
  /** One for each token that was asked for. */
  readonly logProbs: Float32Array;
  /** The likeliest token after each row. */
  readonly top: readonly number[];
}

/** A block's output, and what was asked of the activation that enters its last projection, down or o. */
export interface Watched {
  readonly stream: Stream;
  /**
   * `energy`: the sum over all tokens of the squares of each inner channel, `[channels]`. `values`: all of them,
   * `[batch · length, channels]`. In the order in which the weights are laid out.
   */
  readonly inner: Float32Array;
}

/** Keys and values of earlier tokens of one attention block, `[batch, kvHeads, length, headDim]` each. */
export interface KeyValues {
  readonly length: number;
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

/**
 * A decoder that runs block by block. It holds weights and compiled graphs and no state of any text: every method maps
 * inputs to outputs. The layer shapes are an argument, so that one decoder serves every candidate.
 */
export class Decoder {
  readonly spec: ModelSpec;
  readonly weights: LaidOutWeights;
  readonly backend: Backend;
  #blockTokens = 0;
  readonly #executables = new Map<string, Promise<Executable>>();
  #rope: RopeTable;
  /** Settles when no run reads weights any more. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(backend: Backend, weights: LaidOutWeights) {
    this.backend = backend;
    this.weights = weights;
    this.spec = weights.spec;
    this.#rope = ropeTable(this.spec.rope, this.spec.headDim, 0);
  }

  /** Blocks run × tokens so far; the head counts as its MACs relative to a mean block (core, `headCostInBlocks`). */
  get blockTokens(): number {
    return this.#blockTokens;
  }

  /**
   * Embeds equally long sequences of token ids.
   * @throws {RangeError} when an id is not in the vocabulary.
   */
  embed(sequences: readonly (readonly number[])[]): Promise<Stream> {
    const { length } = sequences[0];
    // A graph would need the whole table in float32 for a few of its rows.
    return Promise.try(() => ({
      batch: sequences.length,
      length,
      data: this.weights.embed(sequences.flat()),
    }));
  }

  /**
   * Runs one block, h → h + f(norm(h)), in the shape that `layers` gives it; a removed block returns its input. With
   * `sight`, tokens see what it says; else each sees those before it.
   * @throws {UnsupportedModelError} for attention over more tokens than the model's sliding window, without `sight`: Lopper
   *   computes full causal attention, which is the same thing up to there.
   */
  async runBlock(
    index: number,
    layers: readonly LayerSpec[],
    input: Stream,
    sight?: Sight,
  ): Promise<Stream> {
    const ref = blockAt(index);
    const shape = layers[ref.layer];
    if (!shape[ref.kind]) return input;
    this.#blockTokens += input.batch * input.length;
    if (ref.kind === "mlp") return (await this.#mlp(ref, shape, input)).stream;
    if (sight) return await this.#attentionWithin(ref, shape, input, sight);
    const { stream } = await this.#attention(ref, shape, input, null);
    return stream;
  }

  /**
   * `runBlock` of a block that is there, with what enters its last projection.
   * @throws {TypeError} when the block is removed.
   */
  async watchBlock(
    index: number,
    layers: readonly LayerSpec[],
    input: Stream,
    what: InnerOutput,
  ): Promise<Watched> {
    const ref = blockAt(index);
    const shape = layers[ref.layer];
    if (!shape[ref.kind]) throw new TypeError(`layer ${ref.layer} has no ${ref.kind} block`);
    this.#blockTokens += input.batch * input.length;
    const { stream, inner } = ref.kind === "mlp"
      ? await this.#mlp(ref, shape, input, what)
      : await this.#attention(ref, shape, input, null, what);
    return { stream, inner: inner! };
  }

  /**
   * Runs all blocks on the tokens that follow `past`, and returns the keys and values with them. One sequence, or one token
   * each of several that are equally far.
   */
  async runCached(
    layers: readonly LayerSpec[],
    input: Stream,
    past: readonly (KeyValues | null)[] | null,
  ): Promise<{ stream: Stream; present: readonly (KeyValues | null)[] }> {
    const present: (KeyValues | null)[] = [];
    let stream = input;
    for (let layer = 0; layer < layers.length; layer++) {
      const result = await this.runAttentionCached(layer, layers, stream, past?.[layer] ?? null);
      present.push(result.present);
      stream = await this.runBlock(2 * layer + 1, layers, result.stream);
    }
    return { stream, present };
  }

  /** The attention block of one layer as `runCached` runs it; where it was removed, the input comes back. */
  async runAttentionCached(
    layer: number,
    layers: readonly LayerSpec[],
    input: Stream,
    past: KeyValues | null,
  ): Promise<{ stream: Stream; present: KeyValues | null }> {
    const shape = layers[layer];
    if (!shape.attention) return { stream: input, present: null };
    const empty = { length: 0, keys: new Float32Array(0), values: new Float32Array(0) };
    const ref = { layer, kind: "attention" } as const;
    const { stream, present } = await this.#attention(ref, shape, input, past ?? empty);
    this.#blockTokens += input.batch * input.length;
    return { stream, present };
  }

  /**
   * Negative log-likelihood in nats of `labels[i]` after position i of the flattened stream `[batch · length]`.
   */
  nll(stream: Stream, labels: readonly number[]): Promise<Float32Array> {
    return this.crossEntropy(stream, certain(labels));
  }

  /** Cross-entropy in nats with the predictions of another model after each position of the stream, `[batch · length]`. */
  async crossEntropy(stream: Stream, predictions: Predictions): Promise<Float32Array> {
    const { logSoftmax } = this.backend.description;
    const run = await this.#executable(
      "cross entropy",
      () => crossEntropyHead({ ...this.#headOptions(), logSoftmax }),
    );
    const out = new Float32Array(stream.batch * stream.length);
    await this.#inHead(stream, async (feeds, start, end) => {
      const fetches = await run.run({ ...feeds, ...predictionsFrom(predictions, start, end) });
      out.set(float32Data(fetches, "cross_entropy"), start);
    });
    return out;
  }

  /** What the model expects after each position of the stream, with its likeliest `count` tokens named. */
  async predictions(stream: Stream, count: number): Promise<Predictions> {
    const { logSoftmax } = this.backend.description;
    const run = await this.#executable(
      "log probs",
      () => logProbsHead({ ...this.#headOptions(), logSoftmax }),
    );
    const named = new NamedTokens(stream.batch * stream.length, this.spec.vocabSize, count);
    await this.#inHead(stream, async (feeds, start) => {
      named.put(start, float32Data(await run.run(feeds), "log_probs"));
    });
    return named;
  }

  /**
   * Log-probabilities of chosen tokens after rows of a stream, and the likeliest token after each row.
   * @param rows `[n, hiddenSize]`
   * @param picks which token after which row, in the order of the rows.
   */
  async picked(
    rows: Float32Array,
    picks: readonly { readonly row: number; readonly token: number }[],
  ): Promise<Picked> {
    const { hiddenSize, vocabSize } = this.spec;
    const { logSoftmax } = this.backend.description;
    const run = await this.#executable(
      "picked",
      () => pickedHead({ ...this.#headOptions(), logSoftmax, top: true }),
    );
    const logProbs = new Float32Array(picks.length);
    const top: number[] = [];
    let done = 0;
    const apart = { batch: rows.length / hiddenSize, length: 1, data: rows };
    await this.#inHead(apart, async (feeds, start, end) => {
      let last = done;
      while (last < picks.length && picks[last].row < end) last++;
      const flat = picks.slice(done, last).map(({ row, token }) =>
        (row - start) * vocabSize + token
      );
      const fetches = await run.run({ ...feeds, picks: int64(flat, [flat.length]) });
      logProbs.set(float32Data(fetches, "log_probs"), done);
      top.push(...int64Data(fetches, "top"));
      done = last;
    });
    return { logProbs, top };
  }

  /** Logits `[rows, vocabSize]` of the given rows `[rows, hiddenSize]` of a stream. */
  async logits(rows: Float32Array): Promise<Float32Array> {
    const { hiddenSize } = this.spec;
    const n = rows.length / hiddenSize;
    const run = await this.#executable("logits", () => logitsHead(this.#headOptions()));
    this.#blockTokens += headCostInBlocks(this.spec, 1) * n;
    const fetches = await this.#inTurn(() =>
      run.run({ hidden: float32(rows, [n, hiddenSize]), ...this.#headWeights() })
    );
    return float32Data(fetches, "logits");
  }

  /** Releases the compiled graphs. The backend stays open. */
  async dispose() {
    const executables = [...this.#executables.values()];
    this.#executables.clear();
    for (const executable of executables) await (await executable).dispose();
  }

  /** Runs the head on a stream in pieces: what it is fed of rows `start` to `end` of `[batch · length]`. */
  async #inHead(
    { batch, length, data }: Stream,
    use: (feeds: Feeds, start: number, end: number) => Promise<void>,
  ) {
    const { hiddenSize, vocabSize } = this.spec;
    const tokens = batch * length;
    this.#blockTokens += headCostInBlocks(this.spec, length) * tokens;
    const chunk = Math.max(64, Math.floor(HEAD_CHUNK_VALUES / vocabSize));
    await this.#inTurn(async () => {
      const weights = this.#headWeights();
      for (let start = 0; start < tokens; start += chunk) {
        const end = Math.min(start + chunk, tokens);
        const rows = data.subarray(start * hiddenSize, end * hiddenSize);
        const hidden = float32(rows, [end - start, hiddenSize]);
        await use({ hidden, ...weights }, start, end);
      }
    });
  }

  #headOptions() {
    const { hiddenSize, vocabSize, rmsNormEps } = this.spec;
    return { hiddenSize, vocabSize, eps: rmsNormEps };
  }

  #headWeights() {
    const { hiddenSize, vocabSize } = this.spec;
    return {
      norm: float32(this.weights.finalNorm, [hiddenSize]),
      lm_head: float32(this.weights.lmHead(), [vocabSize, hiddenSize]),
    };
  }

  /**
   * Runs one call after another. Weights may lie in a buffer that the next use overwrites, and engines read their feeds
   * some time after `run` is called.
   */
  #inTurn<T>(use: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(use);
    // Settled with nothing: what came out is not to stay in memory for the sake of the order.
    this.#turn = result.then(() => {}, () => {});
    return result;
  }

  async #mlp(ref: BlockRef, shape: LayerSpec, input: Stream, inner?: InnerOutput) {
    const { hiddenSize, rmsNormEps, biases } = this.spec;
    const run = await this.#executable(
      `mlp ${inner}`,
      () => mlpBlock({ hiddenSize, eps: rmsNormEps, bias: biases.mlp, inner }),
    );
    const fetches = await this.#inTurn(() =>
      run.run({
        hidden: float32(input.data, [input.batch * input.length, hiddenSize]),
        ...this.#weightFeeds(ref, shape),
      })
    );
    return {
      stream: { ...input, data: float32Data(fetches, "out") },
      inner: inner && float32Data(fetches, INNER_FETCH[inner]),
    };
  }

  async #attention(
    ref: BlockRef,
    shape: LayerSpec,
    input: Stream,
    past: KeyValues | null,
    inner?: InnerOutput,
  ): Promise<{ stream: Stream; present: KeyValues | null; inner?: Float32Array }> {
    const { hiddenSize, headDim } = this.spec;
    const { batch, length } = input;
    const attention = shape.attention!;
    const total = (past?.length ?? 0) + length;
    checkSequenceLength(this.spec, total);
    const rope = this.#ropeFor(total);
    const op = attentionOpFor(this.spec, this.backend.description);
    const chunks = past === null ? attentionChunks(op, batch, length) : 1;
    const run = await this.#attentionExecutable(op, attention, past !== null, chunks, inner);
    const tableShape = [rope.positions, headDim / 2];
    const position: Feeds = op === "gqa"
      ? {
        seqlens: int32(new Array(batch).fill(total - 1), [batch]),
        total: int32([total], [1]),
      }
      : {
        positions: int64(
          Array.from({ length: batch * length }, (_, i) => total - length + i % length),
          [batch, length],
        ),
      };
    const pastShape = past && [batch, attention.kvHeads, past.length, headDim];
    const fetches = await this.#inTurn(() =>
      run.run({
        hidden: float32(input.data, [batch, length, hiddenSize]),
        ...this.#weightFeeds(ref, shape),
        ...position,
        ...(past && pastShape && {
          past_key: float32(past.keys, pastShape),
          past_value: float32(past.values, pastShape),
        }),
        cos: float32(rope.cos, tableShape),
        sin: float32(rope.sin, tableShape),
      })
    );
    return {
      stream: { ...input, data: float32Data(fetches, "out") },
      present: past && {
        length: total,
        keys: float32Data(fetches, "present_key"),
        values: float32Data(fetches, "present_value"),
      },
      inner: inner && float32Data(fetches, INNER_FETCH[inner]),
    };
  }

  /** Attention in which tokens see what `sight` says. */
  async #attentionWithin(
    ref: BlockRef,
    shape: LayerSpec,
    { batch, length, data }: Stream,
    { positions, mask }: Sight,
  ): Promise<Stream> {
    const { hiddenSize, headDim } = this.spec;
    const run = await this.#executable(
      "attention with a mask",
      () =>
        attentionBlock({ ...this.#attentionOptions(), op: "plain", kvCache: false, masked: true }),
    );
    // The operator wants a row of the table for each token, even where positions repeat.
    const rope = this.#ropeFor(positions.reduce((most, p) => Math.max(most, p + 1), length));
    const tableShape = [rope.positions, headDim / 2];
    const fetches = await this.#inTurn(() =>
      run.run({
        hidden: float32(data, [batch, length, hiddenSize]),
        ...this.#weightFeeds(ref, shape),
        positions: int64(positions, [batch, length]),
        mask: float32(mask, [batch, 1, length, length]),
        cos: float32(rope.cos, tableShape),
        sin: float32(rope.sin, tableShape),
      })
    );
    return { batch, length, data: float32Data(fetches, "out") };
  }

  #weightFeeds(ref: BlockRef, shape: LayerSpec) {
    return Object.fromEntries(
      this.weights.block(ref, shape).map(({ name, data, rows }) => [
        name,
        float32(data, data.length === rows ? [rows] : [rows, data.length / rows]),
      ]),
    );
  }

  #attentionExecutable(
    op: AttentionOp,
    shape: AttentionShape,
    kvCache: boolean,
    chunks: number,
    inner: InnerOutput | undefined,
  ) {
    // GroupQueryAttention's head counts are attributes, so each count needs a graph of its own.
    const heads = op === "gqa" ? shape : NO_HEADS;
    return this.#executable(
      `attention ${op} ${heads.queryHeads}:${heads.kvHeads} ${kvCache} ${chunks} ${inner}`,
      () => attentionBlock({ ...this.#attentionOptions(), op, ...heads, kvCache, chunks, inner }),
    );
  }

  /** What attention graphs of this model have in common; head counts are for the operator that needs them. */
  #attentionOptions() {
    const { hiddenSize, headDim, rmsNormEps, biases, qkNorm } = this.spec;
    return {
      hiddenSize,
      headDim,
      ...NO_HEADS,
      eps: rmsNormEps,
      qkvBias: biases.qkv,
      outputBias: biases.output,
      qkNorm,
    };
  }

  #executable(key: string, build: () => Uint8Array): Promise<Executable> {
    let executable = this.#executables.get(key);
    if (!executable) {
      executable = this.backend.compile(build());
      this.#executables.set(key, executable);
    }
    return executable;
  }

  #ropeFor(positions: number): RopeTable {
    if (this.#rope.positions < positions) {
      // Growing in powers of two keeps generation from building a table for every token.
      const size = 2 ** Math.ceil(Math.log2(positions));
      this.#rope = ropeTable(this.spec.rope, this.spec.headDim, size);
    }
    return this.#rope;
  }
}
