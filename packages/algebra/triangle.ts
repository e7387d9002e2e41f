import { type Matrix, matrix, partOf, type Products, rowsOf } from "./products.ts";

/**
 * Rows that are multiplied at once: few enough to skip most of what is right of the diagonal, many
 * for the engine.
 */
export const STRIPE_ROWS = 512;

/** The sum of leftᵀ · right over pairs of matrices `[k, n]`. */
export type Terms = readonly (readonly [left: Matrix, right: Matrix])[];

/**
 * A symmetric matrix `[n, n]` that becomes smaller: its lower triangle, by stripes of rows. A
 * stripe has all columns up to its last row, and what is right of the diagonal in it is not read.
 */
export class Triangle {
  readonly size: number;
  /** From the first row on, without gaps. */
  readonly #stripes: readonly Stripe[];

  private constructor(size: number, stripes: readonly Stripe[]) {
    this.size = size;
    this.#stripes = stripes;
  }

  /**
   * Of its stripes, the first rows first; each has as many columns as there are rows up to its
   * last.
   */
  static of(parts: readonly Matrix[]): Triangle {
    let size = 0;
    const stripes = parts.map(({ rows, data }) => {
      const start = size;
      size += rows;
      return { start, end: size, data };
    });
    return new Triangle(size, stripes);
  }

  /** XXᵀ for X `[n, columns]`. */
  static async outer(
    products: Products,
    x: Matrix,
    { stripeRows = STRIPE_ROWS } = {},
  ): Promise<Triangle> {
    const stripes: Matrix[] = [];
    for (let start = 0; start < x.rows; start += stripeRows) {
      const end = Math.min(start + stripeRows, x.rows);
      const [rows, others] = [rowsOf(x, start, end), rowsOf(x, 0, end)];
      stripes.push(await products.product(rows, others, { transB: true }));
    }
    return Triangle.of(stripes);
  }

  diagonal(): Float64Array {
    const diagonal = new Float64Array(this.size);
    for (const { start, end, data } of this.#stripes) {
      for (let r = start; r < end; r++) diagonal[r] = data[(r - start) * end + r];
    }
    return diagonal;
  }

  /** Some consecutive rows, from end to end, as a copy. */
  rows(first: number, last: number): Matrix {
    const found = matrix(last - first, this.size);
    for (const { start, end, data } of this.#stripes) {
      for (let r = Math.max(start, first); r < end; r++) {
        const row = (r - start) * end;
        if (r < last) found.data.set(data.subarray(row, row + r + 1), (r - first) * this.size);
        for (let i = first; i < Math.min(r, last); i++) {
          found.data[(i - first) * this.size + r] = data[row + i];
        }
      }
    }
    return found;
  }

  /**
   * It less the sum of leftᵀ · right over `terms`, which is symmetric.
   * @param options.kept the rows and columns that are left of it, in ascending order; all of them
   *   by default.
   */
  async less(
    products: Products,
    { kept, terms, stripeRows = STRIPE_ROWS }: {
      readonly kept?: readonly number[];
      readonly terms: Terms;
      readonly stripeRows?: number;
    },
  ): Promise<Triangle> {
    const places = kept ?? Array.from({ length: this.size }, (_, i) => i);
    const left = transposedNegative(terms.map(([left]) => left), places);
    const right = gathered(terms.map(([, right]) => right), places);
    const size = places.length;
    const stripes: Matrix[] = [];
    for (let start = 0; start < size; start += stripeRows) {
      const end = Math.min(start + stripeRows, size);
      const whole = kept
        ? undefined
        : this.#stripes.find((stripe) => stripe.start === start && stripe.end === end);
      const stripe = await products.product(
        rowsOf(left, start, end),
        end < size ? partOf(right, [0, right.rows], [0, end]) : right,
        { add: whole ? matrix(end - start, end, whole.data) : this.#gathered(places, start, end) },
      );
      stripes.push(stripe);
    }
    return Triangle.of(stripes);
  }

  /** Rows and columns `places`, of them the rows from `start` to before `end`. */
  #gathered(places: readonly number[], start: number, end: number): Matrix {
    const found = matrix(end - start, end);
    let at = 0;
    for (let i = start; i < end; i++) {
      const r = places[i];
      while (r >= this.#stripes[at].end) at += 1;
      const stripe = this.#stripes[at];
      const row = (r - stripe.start) * stripe.end;
      const to = (i - start) * end;
      for (let c = 0; c <= i; c++) found.data[to + c] = stripe.data[row + places[c]];
    }
    return found;
  }
}

/** Rows `start` to before `end` of a triangle. */
interface Stripe {
  readonly start: number;
  readonly end: number;
  /** `[end - start, end]` */
  readonly data: Float32Array;
}

/** Some columns of matrices that stand on top of each other. */
function gathered(matrices: readonly Matrix[], kept: readonly number[]): Matrix {
  const result = matrix(matrices.reduce((sum, { rows }) => sum + rows, 0), kept.length);
  let to = 0;
  for (const { rows, columns, data } of matrices) {
    for (let r = 0; r < rows; r++) for (const c of kept) result.data[to++] = data[r * columns + c];
  }
  return result;
}

/** As `gathered`, transposed, with the other sign. */
function transposedNegative(matrices: readonly Matrix[], kept: readonly number[]): Matrix {
  const columns = matrices.reduce((sum, { rows }) => sum + rows, 0);
  const result = matrix(kept.length, columns);
  let before = 0;
  for (const { rows, columns: n, data } of matrices) {
    for (let r = 0; r < rows; r++) {
      for (let i = 0; i < kept.length; i++) {
        result.data[i * columns + before + r] = -data[r * n + kept[i]];
      }
    }
    before += rows;
  }
  return result;
}
