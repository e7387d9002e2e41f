import { type Matrix, matrix, partOf, type Products } from "./products.ts";

/**
 * Columns that are multiplied at once: few enough to skip most of what is right of the diagonal,
 * many for the engine.
 */
const STRIPE_COLUMNS = 512;

/**
 * A sum of XᵀX over batches of rows, by stripes of its rows: what is right of the last column of a
 * stripe is what others have below the diagonal, and is not computed. For n columns in stripes of s
 * these are (n² + ns) / 2 products a row instead of n².
 */
export class GramSum {
  readonly #products: Products;
  readonly #stripeColumns: number;
  #stripes: Matrix[] = [];

  constructor(products: Products, { stripeColumns = STRIPE_COLUMNS } = {}) {
    this.#products = products;
    this.#stripeColumns = stripeColumns;
  }

  /** Adds XᵀX of X `[rows, n]`; n is the same in every batch. */
  async add(x: Matrix): Promise<void> {
    const sums: Matrix[] = [];
    for (let start = 0; start < x.columns; start += this.#stripeColumns) {
      const end = Math.min(start + this.#stripeColumns, x.columns);
      const left = partOf(x, [0, x.rows], [start, end]);
      const right = end < x.columns ? partOf(x, [0, x.rows], [0, end]) : x;
      const add = this.#stripes[sums.length];
      sums.push(await this.#products.product(left, right, { transA: true, add }));
    }
    this.#stripes = sums;
  }

  /**
   * The sum `[n, n]`, its lower triangle alone: what is above the diagonal is of no meaning. The
   * sum begins anew.
   */
  take(): Matrix {
    const n = this.#stripes.at(-1)?.columns ?? 0;
    const gram = matrix(n, n);
    let row = 0;
    for (let stripe = this.#stripes.shift(); stripe; stripe = this.#stripes.shift()) {
      for (let r = 0; r < stripe.rows; r++, row++) {
        const values = stripe.data.subarray(r * stripe.columns, (r + 1) * stripe.columns);
        gram.data.set(values, row * n);
      }
    }
    return gram;
  }
}
