import { type Feeds, float32 } from "@lopper/backends";

/**
 * What a model expects after each of some positions: its likeliest tokens, and for all others
 * together what is left of 1.
 */
export interface Predictions {
  /** Tokens that are named after each position. */
  readonly perToken: number;
  /** `[positions, perToken]`, as graphs are fed. */
  readonly tokens: BigInt64Array;
  /** `[positions, perToken]` */
  readonly probabilities: Float32Array;
}

/**
 * The prediction that after each position one token comes and no other: a cross-entropy with it is
 * an NLL.
 */
export function certain(labels: readonly number[]): Predictions {
  return {
    perToken: 1,
    tokens: BigInt64Array.from(labels, BigInt),
    probabilities: new Float32Array(labels.length).fill(1),
  };
}

/** The feeds of positions `start` to `end` for a graph that computes cross-entropies. */
export function predictionsFrom(
  { perToken, tokens, probabilities }: Predictions,
  start: number,
  end: number,
): Feeds {
  const dims = [end - start, perToken];
  return {
    tokens: { dtype: "int64", dims, data: tokens.subarray(start * perToken, end * perToken) },
    probabilities: float32(probabilities.subarray(start * perToken, end * perToken), dims),
  };
}

/** Predictions that are filled in from log-probabilities, some positions at a time. */
export class NamedTokens implements Predictions {
  readonly perToken: number;
  readonly tokens: BigInt64Array;
  readonly probabilities: Float32Array;
  readonly #vocabSize: number;

  constructor(positions: number, vocabSize: number, count: number) {
    this.perToken = Math.min(count, vocabSize);
    this.tokens = new BigInt64Array(positions * this.perToken);
    this.probabilities = new Float32Array(positions * this.perToken);
    this.#vocabSize = vocabSize;
  }

  /**
   * Takes the likeliest tokens of the positions from `start` on, from log-probabilities `[n,
   * vocabSize]`.
   */
  put(start: number, logProbs: Float32Array) {
    const size = this.#vocabSize;
    for (let row = 0; row * size < logProbs.length; row++) {
      const values = logProbs.subarray(row * size, (row + 1) * size);
      largest(values, this.perToken).forEach((token, i) => {
        const at = (start + row) * this.perToken + i;
        this.tokens[at] = BigInt(token);
        this.probabilities[at] = Math.exp(values[token]);
      });
    }
  }
}

/**
 * Where the largest `count` values are, the largest first; of equal ones the first. A heap, since a
 * vocabulary is long.
 */
export function largest(values: Float32Array, count: number): Int32Array {
  /**
   * Places of the largest so far; each is no better than its two children, so that the worst is on
   * top.
   */
  const heap = new Int32Array(count);
  const worse = (a: number, b: number) =>
    values[a] < values[b] || (values[a] === values[b] && a > b);
  const sink = (place: number, size: number) => {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && worse(heap[child + 1], heap[child])) child += 1;
      if (!worse(heap[child], place)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = place;
  };
  for (let place = 0; place < values.length; place++) {
    if (place >= count) {
      // Most values of a vocabulary end here.
      if (worse(heap[0], place)) sink(place, count);
      continue;
    }
    let at = place;
    while (at > 0 && worse(place, heap[(at - 1) >> 1])) {
      heap[at] = heap[(at - 1) >> 1];
      at = (at - 1) >> 1;
    }
    heap[at] = place;
  }
  for (let size = count - 1; size > 0; size--) {
    const [worst, last] = [heap[0], heap[size]];
    sink(last, size);
    heap[size] = worst;
  }
  return heap;
}
