import { type Feeds, float32, float32Data, int32, int64 } from "@lopper/backends";
import { type Block, type BlockSize, blocksOf, type ModelSpec, weightShape } from "@lopper/core";
import { attentionBlock, type AttentionOp, type InnerOutput, mlpBlock } from "@lopper/graphs";
import { attentionChunks, attentionOpFor } from "./attention_op.ts";
import type { GraphRuns } from "./graph_runs.ts";
import { type RopeTable, ropeTable } from "./rope.ts";
import { checkSequenceLength } from "./sequence_length.ts";
import type { KeyValues, Sight, Stream } from "./stream.ts";
import type { LaidOutWeights } from "./weight_layout.ts";

/** Names of the fetches that tell of a block's inside. */
const INNER_FETCH = { energy: "energy", values: "inner" } as const;

/** Head counts of operators that read them from the shapes of their inputs. */
const NO_HEADS: Heads = { queryHeads: 0, kvHeads: 0 };

interface Heads {
  readonly queryHeads: number;
  readonly kvHeads: number;
}

/** What a block makes of its input. */
export interface BlockOutput {
  readonly stream: Stream;
  /** Of attention that was given a past: its keys and values with those of the input. */
  readonly present: KeyValues | null;
  /** Where it was asked for: of the activation that enters the block's last projection. */
  readonly inner?: Float32Array;
}

/** The blocks of a model, each in the size that it is given: h → h + f(norm(h)). */
export class Blocks {
  readonly #spec: ModelSpec;
  readonly #blocks: readonly Block[];
  readonly #weights: LaidOutWeights;
  readonly #runs: GraphRuns;
  #rope: RopeTable;

  constructor(runs: GraphRuns, weights: LaidOutWeights) {
    this.#runs = runs;
    this.#weights = weights;
    this.#spec = weights.spec;
    this.#blocks = blocksOf(weights.spec);
    this.#rope = ropeTable(this.#spec.rope, this.#spec.headDim, 0);
  }

  /** Runs a block on sequences of text. */
  run(
    number: number,
    size: BlockSize,
    input: Stream,
    inner?: InnerOutput,
  ): Promise<BlockOutput> {
    return this.#blocks[number].attended
      ? this.attention(number, size, input, null, inner)
      : this.#mlp(number, size, input, inner);
  }

  async #mlp(
    number: number,
    size: BlockSize,
    input: Stream,
    inner?: InnerOutput,
  ): Promise<BlockOutput> {
    const { hiddenSize, rmsNormEps, biases } = this.#spec;
    const run = await this.#runs.compiled(
      `mlp ${inner}`,
      () => mlpBlock({ hiddenSize, eps: rmsNormEps, bias: biases.mlp, inner }),
    );
    const fetches = await this.#runs.inTurn(() =>
      run.run({
        hidden: float32(input.data, [input.batch * input.length, hiddenSize]),
        ...this.#weightFeeds(number, size),
      })
    );
    return {
      stream: { ...input, data: float32Data(fetches, "out") },
      present: null,
      inner: inner && float32Data(fetches, INNER_FETCH[inner]),
    };
  }

  /**
   * Causal attention of tokens that follow `past`; without it, of whole sequences.
   * @throws {UnsupportedModelError} for more tokens than the model's sliding window.
   */
  async attention(
    number: number,
    size: BlockSize,
    input: Stream,
    past: KeyValues | null,
    inner?: InnerOutput,
  ): Promise<BlockOutput> {
    const { batch, length } = input;
    const heads = headsOf(this.#blocks[number], size, this.#spec);
    const total = (past?.length ?? 0) + length;
    checkSequenceLength(this.#spec, total);
    const op = attentionOpFor(this.#spec, this.#runs.backend.description);
    const chunks = past === null ? attentionChunks(op, batch, length) : 1;
    const run = await this.#attentionGraph(op, heads, past !== null, chunks, inner);
    const rest = {
      ...positionFeeds(op, batch, length, total),
      ...(past && this.#pastFeeds(past, batch, heads.kvHeads)),
      ...this.#ropeFeeds(total),
    };
    const fetches = await this.#runs.inTurn(() =>
      run.run({
        hidden: float32(input.data, [batch, length, this.#spec.hiddenSize]),
        ...this.#weightFeeds(number, size),
        ...rest,
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
  async attentionWithin(
    number: number,
    size: BlockSize,
    { batch, length, data }: Stream,
    { positions, mask }: Sight,
  ): Promise<Stream> {
    const run = await this.#runs.compiled(
      "attention with a mask",
      () =>
        attentionBlock({ ...this.#attentionOptions(), op: "plain", kvCache: false, masked: true }),
    );
    const rest = {
      positions: int64(positions, [batch, length]),
      mask: float32(mask, [batch, 1, length, length]),
      // The operator wants a row of the table for each token, even where positions repeat.
      ...this.#ropeFeeds(positions.reduce((most, p) => Math.max(most, p + 1), length)),
    };
    const fetches = await this.#runs.inTurn(() =>
      run.run({
        hidden: float32(data, [batch, length, this.#spec.hiddenSize]),
        ...this.#weightFeeds(number, size),
        ...rest,
      })
    );
    return { batch, length, data: float32Data(fetches, "out") };
  }

  /** Good until the weights are used again: called in turn. */
  #weightFeeds(number: number, size: BlockSize): Feeds {
    return Object.fromEntries(
      this.#weights.block(number, size).map(({ name, data, rows }) => [
        name,
        float32(data, data.length === rows ? [rows] : [rows, data.length / rows]),
      ]),
    );
  }

  #pastFeeds({ length, keys, values }: KeyValues, batch: number, kvHeads: number): Feeds {
    const shape = [batch, kvHeads, length, this.#spec.headDim];
    return { past_key: float32(keys, shape), past_value: float32(values, shape) };
  }

  /** Cosines and sines of `positions` positions at least. */
  #ropeFeeds(positions: number): Feeds {
    if (this.#rope.positions < positions) {
      // Growing in powers of two keeps generation from building a table for every token.
      const size = 2 ** Math.ceil(Math.log2(positions));
      this.#rope = ropeTable(this.#spec.rope, this.#spec.headDim, size);
    }
    const { cos, sin, positions: rows } = this.#rope;
    const shape = [rows, this.#spec.headDim / 2];
    return { cos: float32(cos, shape), sin: float32(sin, shape) };
  }

  #attentionGraph(
    op: AttentionOp,
    counts: Heads,
    kvCache: boolean,
    chunks: number,
    inner: InnerOutput | undefined,
  ) {
    // GroupQueryAttention's head counts are attributes, so each count needs a graph of its own.
    const heads = op === "gqa" ? counts : NO_HEADS;
    return this.#runs.compiled(
      `attention ${op} ${heads.queryHeads}:${heads.kvHeads} ${kvCache} ${chunks} ${inner}`,
      () => attentionBlock({ ...this.#attentionOptions(), op, ...heads, kvCache, chunks, inner }),
    );
  }

  /** What attention graphs of this model have in common; head counts are for the operator that needs them. */
  #attentionOptions() {
    const { hiddenSize, headDim, rmsNormEps, biases, qkNorm } = this.#spec;
    return {
      hiddenSize,
      headDim,
      ...NO_HEADS,
      eps: rmsNormEps,
      qkvBias: biases.qkv,
      outputBias: biases.output,
      qkNorm: qkNorm !== false,
    };
  }
}

/** Heads of an attention block of this size, of queries and of keys. */
function headsOf({ weights }: Block, size: BlockSize, { headDim }: ModelSpec): Heads {
  const count = (name: string) =>
    weightShape(weights.find((weight) => weight.name === name)!, size)[0] / headDim;
  return { queryHeads: count("q"), kvHeads: count("k") };
}

/** Where the last `length` of `total` tokens of each sequence stand, as an operator wants to hear it. */
function positionFeeds(op: AttentionOp, batch: number, length: number, total: number): Feeds {
  if (op === "gqa") {
    return {
      seqlens: int32(new Array(batch).fill(total - 1), [batch]),
      total: int32([total], [1]),
    };
  }
  const positions = Array.from(
    { length: batch * length },
    (_, i) => total - length + i % length,
  );
  return { positions: int64(positions, [batch, length]) };
}
