import {
  type BackendDescription,
  type Feeds,
  float32,
  float32Data,
  int64,
  int64Data,
} from "@lopper/backends";
import type { Architecture } from "@lopper/core";
import { crossEntropyHead, logitsHead, logProbsHead, tokenLogProbsHead } from "@lopper/graphs";
import type { GraphRuns } from "./graph_runs.ts";
import { NamedTokens, type Predictions, predictionsFrom } from "./predictions.ts";
import type { LaidOutWeights } from "./weight_layout.ts";

/**
 * Values of the logits that the head may hold at a time: two copies of 48 MB stay in the cache's
 * reach.
 */
const HEAD_CHUNK_VALUES = 12 * 1024 * 1024;
/**
 * Rows that a product needs at most to be as fast as it gets. Beside a small vocabulary more of
 * them only take memory, which every graph of a head keeps.
 */
const MAX_HEAD_ROWS = 512;

/** Rows that a head computes in one run; engines that share them out compute so many each. */
export function headRows(vocabSize: number, { engines }: BackendDescription): number {
  const rows = Math.max(64, Math.floor(HEAD_CHUNK_VALUES / vocabSize));
  return engines * Math.min(rows, MAX_HEAD_ROWS);
}

/** Log-probabilities of tokens, in nats, and what is likeliest. */
export interface TokenLogProbs {
  /** One for each token that was asked for. */
  readonly logProbs: Float32Array;
  /** The likeliest token after each row. */
  readonly top: readonly number[];
}

/** A token that is asked for, after a row. */
export interface TokenPick {
  readonly row: number;
  readonly token: number;
}

/** The heads of a model: what it expects after rows of hidden states, `[n, hiddenSize]`. */
export class Heads {
  readonly #architecture: Architecture;
  readonly #weights: LaidOutWeights;
  readonly #runs: GraphRuns;

  constructor(runs: GraphRuns, weights: LaidOutWeights) {
    this.#runs = runs;
    this.#weights = weights;
    this.#architecture = weights.architecture;
  }

  /** Cross-entropy in nats with the predictions of another model after each row, `[n]`. */
  async crossEntropy(rows: Float32Array, predictions: Predictions): Promise<Float32Array> {
    const run = await this.#runs.compiled(
      "cross entropy",
      () => crossEntropyHead(this.#scoringOptions()),
    );
    const out = new Float32Array(this.#count(rows));
    await this.#inPieces(rows, async (feeds, start, end) => {
      const fetches = await run.run({ ...feeds, ...predictionsFrom(predictions, start, end) });
      out.set(float32Data(fetches, "cross_entropy"), start);
    });
    return out;
  }

  /** What the model expects after each row, with its likeliest `count` tokens named. */
  async predictions(rows: Float32Array, count: number): Promise<Predictions> {
    const run = await this.#runs.compiled("log probs", () => logProbsHead(this.#scoringOptions()));
    const named = new NamedTokens(this.#count(rows), this.#architecture.vocabSize, count);
    await this.#inPieces(rows, async (feeds, start) => {
      named.put(start, float32Data(await run.run(feeds), "log_probs"));
    });
    return named;
  }

  /**
   * Log-probabilities of chosen tokens after rows, and the likeliest token after each row.
   * @param picks in the order of the rows.
   */
  async tokenLogProbs(rows: Float32Array, picks: readonly TokenPick[]): Promise<TokenLogProbs> {
    const run = await this.#runs.compiled(
      "token log-probabilities",
      () => tokenLogProbsHead({ ...this.#scoringOptions(), top: true }),
    );
    const logProbs = new Float32Array(picks.length);
    const top: number[] = [];
    let done = 0;
    await this.#inPieces(rows, async (feeds, start, end) => {
      let last = done;
      while (last < picks.length && picks[last].row < end) last++;
      const { tokens, perRow, places } = picksByRow(picks.slice(done, last), [start, end]);
      const fetches = await run.run({ ...feeds, tokens: int64(tokens, [end - start, perRow]) });
      const found = float32Data(fetches, "log_probs");
      places.forEach((place, i) => logProbs[done + i] = found[place]);
      top.push(...int64Data(fetches, "top"));
      done = last;
    });
    return { logProbs, top };
  }

  /** Logits `[n, vocabSize]` after each row. */
  async logits(rows: Float32Array): Promise<Float32Array> {
    const hidden = float32(rows, [this.#count(rows), this.#architecture.hiddenSize]);
    const run = await this.#runs.compiled("logits", () => logitsHead(this.#options()));
    const fetches = await this.#runs.inTurn(() => run.run({ hidden, ...this.#weightFeeds() }));
    return float32Data(fetches, "logits");
  }

  /** Runs a head in pieces: what it is fed of rows `start` to `end`. */
  async #inPieces(
    rows: Float32Array,
    use: (feeds: Feeds, start: number, end: number) => Promise<void>,
  ) {
    const { hiddenSize, vocabSize } = this.#architecture;
    const count = this.#count(rows);
    const chunk = headRows(vocabSize, this.#runs.backend.description);
    await this.#runs.inTurn(async () => {
      const weights = this.#weightFeeds();
      for (let start = 0; start < count; start += chunk) {
        const end = Math.min(start + chunk, count);
        const piece = rows.subarray(start * hiddenSize, end * hiddenSize);
        const hidden = float32(piece, [end - start, hiddenSize]);
        await use({ hidden, ...weights }, start, end);
      }
    });
  }

  #count(rows: Float32Array): number {
    return rows.length / this.#architecture.hiddenSize;
  }

  #options() {
    const { hiddenSize, vocabSize, norm, outer, scaling } = this.#architecture;
    return { hiddenSize, vocabSize, norm, outer, scaling };
  }

  /** Of heads whose numbers come from log-probabilities. */
  #scoringOptions() {
    const { logSoftmax } = this.#runs.backend.description;
    return { ...this.#options(), logSoftmax };
  }

  #weightFeeds() {
    const { hiddenSize, vocabSize } = this.#architecture;
    const vectors = Object.entries(this.#weights.headVectors);
    return {
      ...Object.fromEntries(vectors.map(([name, data]) => [name, float32(data, [data.length])])),
      lm_head: float32(this.#weights.lmHead(), [vocabSize, hiddenSize]),
    };
  }
}

/**
 * Tokens that are asked for after rows `start` to `end`, as many after each row as after the one
 * with most of them: `tokens [end - start, perRow]`, and the place of each pick in it.
 */
function picksByRow(
  picks: readonly TokenPick[],
  [start, end]: readonly [start: number, end: number],
) {
  const counts = new Array<number>(end - start).fill(0);
  const columns = picks.map(({ row }) => counts[row - start]++);
  const perRow = counts.reduce((most, count) => Math.max(most, count), 1);
  const tokens = new Array<number>((end - start) * perRow).fill(0);
  const places = picks.map(({ row }, i) => (row - start) * perRow + columns[i]);
  picks.forEach(({ token }, i) => tokens[places[i]] = token);
  return { tokens, perRow, places };
}
