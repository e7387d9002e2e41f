import { attentionWindow, denseShape, type Shape } from "@lopper/core";
import { MASKED } from "@lopper/graphs";
import { type AttentionMask, type Decoder, forwardFrom, type HiddenStates } from "@lopper/runtime";
import type { TokenRequest } from "./encode.ts";
import { type Prediction, type PrefixTree, prefixTree, writeMask } from "./prefix_tree.ts";

/** What a model says of a request. */
export interface RequestScore {
  /** Sum over the continuation's tokens, in nats. */
  readonly logLikelihood: number;
  /** Each token of the continuation is the likeliest at its place. */
  readonly greedy: boolean;
}

/** The scores of one question's requests. */
export interface QuestionScores {
  /** Number of the question. */
  readonly question: number;
  readonly scores: readonly RequestScore[];
}

export interface Progress {
  /** Tokens that went through the model. */
  readonly done: number;
  readonly total: number;
}

export interface RequestScorerOptions {
  /** Without it, the model's own. */
  readonly shape?: Shape;
  /** Tokens that run through a block together, unless one question has more. */
  readonly batchTokens?: number;
}

const DEFAULT_BATCH_TOKENS = 2048;
/**
 * Nodes of a tree whose scores, one for each pair of nodes, are still small beside everything else.
 */
const MAX_TREE_NODES = 2048;

/** A row of a batch, before its time: requests of one question that run together. */
interface Planned {
  readonly question: number;
  /** Number of the first of them among those of the question, and the number behind the last. */
  readonly firstRequest: number;
  readonly endRequest: number;
  /** Nodes of their tree, and whether it is a plain sequence. */
  readonly nodes: number;
  readonly chain: boolean;
}

/** A row of a batch. */
interface Row extends Planned {
  readonly tree: PrefixTree;
}

/**
 * Log-likelihoods of continuations. What the requests of a question have in common runs once,
 * questions of like length run together, and only the log-probabilities of the continuations'
 * tokens leave the graphs.
 */
export class RequestScorer {
  readonly #decoder: Decoder;
  readonly #shape: Shape;
  readonly #batchTokens: number;

  constructor(decoder: Decoder, options: RequestScorerOptions = {}) {
    this.#decoder = decoder;
    this.#shape = options.shape ?? denseShape(decoder.blocks);
    this.#batchTokens = options.batchTokens ?? DEFAULT_BATCH_TOKENS;
  }

  /** Blocks run × tokens so far. */
  get blockTokens(): number {
    return this.#decoder.blockTokens;
  }

  /**
   * Scores the requests of questions, the longest first; after each batch comes what it completed.
   */
  async *score(
    questions: readonly (readonly TokenRequest[])[],
    onProgress?: (progress: Progress) => void,
  ): AsyncGenerator<readonly QuestionScores[]> {
    const batches = intoBatches(questions.flatMap(planned), this.#batchTokens);
    const sizes = batches.map((rows) => rows.length * rows[0].nodes);
    const total = sizes.reduce((sum, n) => sum + n, 0);
    const pending = new Map<number, (RequestScore | undefined)[]>();
    let done = 0;
    for (const [i, batch] of batches.entries()) {
      // A tree is larger than its requests, so that it is there only while it is needed.
      const rows = batch.map((row): Row => ({
        ...row,
        tree: prefixTree(questions[row.question].slice(row.firstRequest, row.endRequest)),
      }));
      const scores = await this.#run(rows);
      const complete: QuestionScores[] = [];
      for (const [r, { question, firstRequest }] of rows.entries()) {
        const found = pending.get(question) ?? new Array(questions[question].length);
        scores[r].forEach((score, n) => found[firstRequest + n] = score);
        pending.set(question, found);
        if (!Array.from(found).every((score) => score !== undefined)) continue;
        pending.delete(question);
        complete.push({ question, scores: found as RequestScore[] });
      }
      yield complete;
      onProgress?.({ done: done += sizes[i], total });
    }
  }

  /** Scores of the requests of every row. */
  async #run(rows: readonly Row[]): Promise<readonly RequestScore[][]> {
    const { hiddenSize } = this.#decoder.architecture;
    const length = rows[0].tree.tokens.length;
    const ids = rows.map(({ tree: { tokens } }) => [
      ...tokens,
      ...new Array<number>(length - tokens.length).fill(0),
    ]);
    const hidden = await this.#forward(
      await this.#decoder.embed(ids, positionsOf(rows, length)),
      rows,
    );
    const { selected, picks, owners } = gatherPredictions(rows, hidden, hiddenSize);
    const { logProbs, top } = await this.#decoder.tokenLogProbs(selected, picks);
    const scores = rows.map(({ tree }) => {
      const requests = 1 + Math.max(...tree.predictions.map(({ request }) => request));
      return Array.from({ length: requests }, () => ({ logLikelihood: 0, greedy: true }));
    });
    owners.forEach(({ row, request }, i) => {
      const score = scores[row][request];
      score.logLikelihood += logProbs[i];
      score.greedy &&= top[picks[i].row] === picks[i].token;
    });
    return scores;
  }

  async #forward(input: HiddenStates, rows: readonly Row[]): Promise<HiddenStates> {
    const { architecture } = this.#decoder;
    // The tail of a padded sequence is seen by nobody, so plain causal attention serves those.
    if (rows.every(({ tree }) => tree.chain)) {
      return await forwardFrom(this.#decoder, this.#shape, 0, input);
    }
    const windowIn = (layer: number) => {
      const window = attentionWindow(architecture, layer);
      return window !== null && window < input.length ? window : null;
    };
    const windows = new Set(this.#decoder.blocks.map(({ layer }) => windowIn(layer)));
    const masks = new Map([...windows].map((w) => [w, attentionMask(rows, input.length, w)]));
    const maskOf = (layer: number) => masks.get(windowIn(layer))!;
    return await forwardFrom(this.#decoder, this.#shape, 0, input, undefined, maskOf);
  }
}

/** One row, or where its tree would be too large one for each request. */
function planned(requests: readonly TokenRequest[], question: number): readonly Planned[] {
  const row = (firstRequest: number, endRequest: number): Planned => {
    const { tokens, chain } = prefixTree(requests.slice(firstRequest, endRequest));
    return { question, firstRequest, endRequest, nodes: tokens.length, chain };
  };
  const whole = row(0, requests.length);
  if (whole.chain || whole.nodes <= MAX_TREE_NODES) return [whole];
  return requests.map((_, i) => row(i, i + 1));
}

/** Rows of like length side by side, longest first, chains apart from trees. */
function intoBatches(rows: readonly Planned[], batchTokens: number): readonly Planned[][] {
  const batches: Planned[][] = [];
  for (const chain of [false, true]) {
    const sorted = rows.filter((row) => row.chain === chain)
      .sort((a, b) => b.nodes - a.nodes);
    for (let start = 0; start < sorted.length;) {
      const size = Math.max(1, Math.floor(batchTokens / sorted[start].nodes));
      batches.push(sorted.slice(start, start += size));
    }
  }
  return batches;
}

function attentionMask(rows: readonly Row[], length: number, window: number | null): AttentionMask {
  const values = new Float32Array(rows.length * length * length).fill(MASKED);
  rows.forEach(({ tree }, row) => {
    const part = values.subarray(row * length * length, (row + 1) * length * length);
    writeMask(tree, window, part, length);
    for (let i = 0; i < length; i++) {
      // What pads a row sees itself: an average over nothing is no number.
      if (i >= tree.tokens.length) part[i * length + i] = 0;
    }
  });
  return { positions: positionsOf(rows, length), values };
}

/** Where each token of each row stands, `[rows · length]`; 0 for what pads them. */
function positionsOf(rows: readonly Row[], length: number): readonly number[] {
  return rows.flatMap(({ tree }) => Array.from({ length }, (_, i) => tree.positions[i] ?? 0));
}

/** The hidden states after which something is to be predicted, each once, and what. */
function gatherPredictions(rows: readonly Row[], hidden: HiddenStates, size: number) {
  const nodes: number[] = [];
  const picks: { row: number; token: number }[] = [];
  const owners: { row: number; request: number }[] = [];
  rows.forEach(({ tree }, row) => {
    let last: Prediction["node"] | null = null;
    for (const { node, token, request } of tree.predictions) {
      if (node !== last) nodes.push(row * hidden.length + node);
      last = node;
      picks.push({ row: nodes.length - 1, token });
      owners.push({ row, request });
    }
  });
  const selected = new Float32Array(nodes.length * size);
  nodes.forEach((node, i) =>
    selected.set(hidden.data.subarray(node * size, (node + 1) * size), i * size)
  );
  return { selected, picks, owners };
}
