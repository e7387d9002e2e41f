import { type Matrix, matrix, partOf, type Products, RidgeFactor } from "@lopper/algebra";
import type { BlockGrid } from "@lopper/formats";

/**
 * What is added to the diagonal of a Gram matrix, as a share of its mean. The published 0.01
 * (section 3.3) takes what is chance in a short text for a rule, and errs more on any other text.
 */
const DAMPING = 0.3;
/** Columns whose errors are passed on together, in whole blocks of every grid. */
const STRIPE = 256;

/** How the error of one column of a matrix is made up for by those behind it. */
export interface Feedback {
  /** U, upper triangular, with UᵀU the inverse of the damped Gram matrix: `[n, n]`. */
  readonly upper: Matrix;
  /** What the square of an error costs that the columns behind it make up for: 1 / Uᵢᵢ². */
  readonly costs: Float32Array;
}

/**
 * The feedback that a Gram matrix of inputs gives; its lower triangle is read. Inputs that are
 * always zero get no more than the damping. Null where it is zero, or not positive definite as far
 * as float32 can tell.
 */
export async function feedbackOf(products: Products, gram: Matrix): Promise<Feedback | null> {
  const n = gram.rows;
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram.data[i * n + i];
  if (!(trace > 0)) return null;
  // The triangle of what lies in reverse order, reversed, is the upper one.
  const reversed = matrix(n, n);
  for (let r = 0; r < n; r++) {
    for (let c = 0; c <= r; c++) {
      reversed.data[r * n + c] = gram.data[(n - 1 - c) * n + n - 1 - r];
    }
  }
  const factor = await RidgeFactor.of(products, reversed, DAMPING * trace / n);
  if (!factor) return null;
  const inverse = await factor.inverseTriangle();
  const upper = matrix(n, n, inverse.data.reverse());
  const costs = Float32Array.from({ length: n }, (_, i) => 1 / upper.data[i * n + i] ** 2);
  return costs.every((cost) => Number.isFinite(cost)) ? { upper, costs } : null;
}

/** No feedback for `n` columns: every error stays where it is, and costs as much as any other. */
export function noFeedback(n: number): Feedback {
  const upper = matrix(n, n);
  for (let i = 0; i < n; i++) upper.data[i * n + i] = 1;
  return { upper, costs: new Float32Array(n).fill(1) };
}

/** A matrix as it is rounded. */
export interface Rounded {
  /** Its blocks, row by row. */
  readonly bytes: Uint8Array;
  /** What they stand for, `[rows, columns]`. */
  readonly values: Float32Array;
}

/**
 * Rounds a matrix `[rows, columns]` column by column, each time passing the error on to the columns
 * behind, such that what it does to its inputs changes least (GPTQ, Frantar et al., arXiv
 * 2210.17323, algorithm 1). The lines of a block are chosen when its first column is reached, from
 * the weights as they are then, with errors weighted by what they cost. Columns keep their order,
 * which is that of the blocks.
 */
export async function roundedWithFeedback(
  products: Products,
  grid: BlockGrid,
  { rows, columns, data }: Matrix,
  { upper, costs }: Feedback,
): Promise<Rounded> {
  const values = data.slice();
  const bytes = new Uint8Array(rows * columns / grid.values * grid.bytes);
  const rowBytes = columns / grid.values * grid.bytes;
  const stripes = new StripeRounder(grid);
  for (let start = 0; start < columns; start += STRIPE) {
    const end = Math.min(start + STRIPE, columns);
    const triangle = partOf(upper, [start, end], [start, end]);
    const errors = matrix(rows, end - start);
    const weights = costs.subarray(start, end);
    for (let row = 0; row < rows; row++) {
      const own = values.subarray(row * columns + start, row * columns + end);
      const at = row * rowBytes + start / grid.values * grid.bytes;
      const error = errors.data.subarray(row * errors.columns, (row + 1) * errors.columns);
      stripes.round(own, { triangle: triangle.data, weights, error }, bytes, at);
    }
    if (end === columns) break;
    const passed = await products.product(errors, partOf(upper, [start, end], [end, columns]));
    for (let row = 0; row < rows; row++) {
      const rest = values.subarray(row * columns + end, (row + 1) * columns);
      const from = row * passed.columns;
      for (let i = 0; i < rest.length; i++) rest[i] -= passed.data[from + i];
    }
  }
  return { bytes, values };
}

/** A part of a row's feedback. */
interface StripeFeedback {
  /** Of U, `[n, n]`. */
  readonly triangle: Float32Array;
  readonly weights: Float32Array;
  /** Where the errors of the columns go, each divided by its Uᵢᵢ. */
  readonly error: Float32Array;
}

/** Rounds the columns of a stripe in one row after the other. */
class StripeRounder {
  readonly #grid: BlockGrid;
  readonly #encode: ReturnType<BlockGrid["encoder"]>;
  readonly #steps: Float32Array;
  readonly #offsets: Float32Array;
  readonly #codes: Uint8Array;

  constructor(grid: BlockGrid) {
    const parts = grid.values / grid.part;
    this.#grid = grid;
    this.#encode = grid.encoder();
    this.#steps = new Float32Array(parts);
    this.#offsets = new Float32Array(parts);
    this.#codes = new Uint8Array(grid.values);
  }

  /** @param own the weights, in whose place comes what they are rounded to. */
  round(own: Float32Array, feedback: StripeFeedback, bytes: Uint8Array, at: number) {
    const { values, bytes: blockBytes } = this.#grid;
    for (let first = 0, to = at; first < own.length; first += values, to += blockBytes) {
      this.#encode(own, first, bytes, to, feedback.weights.subarray(first, first + values));
      this.#grid.lines(bytes, to, this.#steps, this.#offsets);
      this.#block(own, first, feedback);
      this.#grid.place(this.#codes, bytes, to);
    }
  }

  #block(own: Float32Array, first: number, { triangle, error }: StripeFeedback) {
    const { values, part, codes } = this.#grid;
    const n = own.length;
    for (let i = first; i < first + values; i++) {
      const place = Math.floor((i - first) / part);
      const [step, offset] = [this.#steps[place], this.#offsets[place]];
      const nearest = step === 0 ? 0 : Math.round((own[i] - offset) / step);
      const code = nearest < 0 ? 0 : nearest >= codes ? codes - 1 : nearest;
      this.#codes[i - first] = code;
      const rounded = Math.fround(Math.fround(step * code) + offset);
      const row = i * n;
      const passed = Math.fround((own[i] - rounded) / triangle[row + i]);
      error[i] = passed;
      for (let j = i + 1; j < n; j++) own[j] -= passed * triangle[row + j];
      own[i] = rounded;
    }
  }
}
