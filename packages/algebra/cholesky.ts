import { CholeskyDecomposition, inverse, Matrix as Dense } from "ml-matrix";
import { type Matrix, matrix, partOf, type Products, rowsOf } from "./products.ts";
import { STRIPE_ROWS, Triangle } from "./triangle.ts";

/**
 * Rows that are factored at once outside the backend: small beside its products, large enough to
 * keep them few.
 */
const BLOCK_ROWS = 128;

/**
 * The factor of H + λI for a symmetric H, of which the lower triangle is read, by blocks of rows
 * (Golub and Van Loan, Matrix Computations, 4.2.9): the backend multiplies, ml-matrix factors the
 * diagonal blocks. H is scaled to a diagonal of ones first, since energies of channels differ by
 * orders of magnitude and products are in float32.
 */
export class RidgeFactor {
  readonly #products: Products;
  /** 1 / √(diagonal) */
  readonly #scale: Float64Array;
  /** The lower triangle, `[n, n]`. */
  readonly #lower: Matrix;
  /** Inverses of the diagonal blocks of the triangle. */
  readonly #inverses: readonly Matrix[];
  readonly #blockRows: number;

  private constructor(
    products: Products,
    scale: Float64Array,
    lower: Matrix,
    inverses: readonly Matrix[],
    blockRows: number,
  ) {
    this.#products = products;
    this.#scale = scale;
    this.#lower = lower;
    this.#inverses = inverses;
    this.#blockRows = blockRows;
  }

  /** Null where H + λI is not positive definite as far as float32 can tell, or not finite. */
  static async of(
    products: Products,
    gram: Matrix,
    lambda: number,
    { blockRows = BLOCK_ROWS } = {},
  ): Promise<RidgeFactor | null> {
    const n = gram.rows;
    const scale = Float64Array.from(
      { length: n },
      (_, i) => 1 / Math.sqrt(gram.data[i * n + i] + lambda),
    );
    if (!scale.every((value) => Number.isFinite(value))) return null;
    const lower = matrix(n, n);
    const inverses: Matrix[] = [];
    for (let start = 0; start < n; start += blockRows) {
      const size = Math.min(blockRows, n - start);
      const known = partOf(lower, [start, n], [0, start]);
      const before = start === 0
        ? null
        : await products.product(known, rowsOf(known, 0, size), { transB: true });
      const panel = matrix(n - start, size);
      for (let r = 0; r < panel.rows; r++) {
        for (let c = 0; c < Math.min(size, r + 1); c++) {
          const [row, column] = [start + r, start + c];
          const value = row === column
            ? 1
            : gram.data[row * n + column] * scale[row] * scale[column];
          panel.data[r * size + c] = value - (before ? before.data[r * size + c] : 0);
        }
      }
      // What is not finite below comes into the diagonal of its row, and is found there.
      if (!panel.data.subarray(0, size ** 2).every((value) => Number.isFinite(value))) return null;
      const diagonal = new Dense(size, size);
      for (let r = 0; r < size; r++) {
        for (let c = 0; c < size; c++) {
          diagonal.set(r, c, panel.data[Math.max(r, c) * size + Math.min(r, c)]);
        }
      }
      const factored = new CholeskyDecomposition(diagonal);
      if (!factored.isPositiveDefinite()) return null;
      const triangle = factored.lowerTriangularMatrix;
      const inverted = matrix(size, size, Float32Array.from(inverse(triangle).to1DArray()));
      inverses.push(inverted);
      const below = start + size < n
        ? await products.product(rowsOf(panel, size, panel.rows), inverted, { transB: true })
        : null;
      for (let r = 0; r < panel.rows; r++) {
        for (let c = 0; c < size; c++) {
          const value = r < size ? triangle.get(r, c) : below!.data[(r - size) * size + c];
          lower.data[(start + r) * n + start + c] = value;
        }
      }
    }
    return new RidgeFactor(products, scale, lower, inverses, blockRows);
  }

  /** (H + λI)⁻¹ · C for C `[n, columns]`. */
  async solve(right: Matrix): Promise<Matrix> {
    const { rows: n, columns } = right;
    const scaled = matrix(n, columns, right.data.map((v, i) => v * this.#scale[(i / columns) | 0]));
    const forward = await this.#forward(scaled);
    const result = matrix(n, columns);
    for (let i = this.#inverses.length - 1; i >= 0; i--) {
      const [start, end] = this.#span(i);
      const part = rowsOf(forward, start, end);
      const solved = await this.#products.product(this.#inverses[i], part, { transA: true });
      result.data.set(solved.data, start * columns);
      if (start === 0) break;
      const left = partOf(this.#lower, [start, end], [0, start]);
      const passed = await this.#products.product(left, solved, { transA: true });
      for (let j = 0; j < passed.data.length; j++) forward.data[j] -= passed.data[j];
    }
    return matrix(n, columns, result.data.map((v, i) => v * this.#scale[(i / columns) | 0]));
  }

  /** 1 / √(diagonal of H + λI): S, as a diagonal. */
  get scale(): Float64Array {
    return this.#scale;
  }

  /**
   * The inverse of the triangle of H + λI itself `[n, n]`, lower triangular: its transpose times it
   * is (H + λI)⁻¹.
   */
  async inverseTriangle({ stripeRows = STRIPE_ROWS } = {}): Promise<Matrix> {
    const n = this.#scale.length;
    const found = matrix(n, n);
    for (const { start, columns } of await this.#inverseColumns(stripeRows)) {
      for (let r = 0; r < columns.rows; r++) {
        const values = columns.data.subarray(r * columns.columns, (r + 1) * columns.columns);
        const scaled = values.map((value, c) => value * this.#scale[start + c]);
        found.data.set(scaled, (start + r) * n + start);
      }
    }
    return found;
  }

  /** (S(H + λI)S)⁻¹ `[n, n]`, from the inverse of the triangle: its transpose times itself. */
  async scaledInverse({ stripeRows = STRIPE_ROWS } = {}): Promise<Triangle> {
    const inverses = await this.#inverseColumns(stripeRows);
    const stripes: Matrix[] = [];
    // From the last on, since only what is left of them is needed for the others.
    for (let own = inverses.pop(); own; own = inverses.pop()) {
      const { start, columns } = own;
      const stripe = matrix(columns.columns, start + columns.columns);
      for (const other of [...inverses, own]) {
        const below = rowsOf(other.columns, start - other.start, other.columns.rows);
        const part = await this.#products.product(columns, below, { transA: true });
        for (let r = 0; r < part.rows; r++) {
          const values = part.data.subarray(r * part.columns, (r + 1) * part.columns);
          stripe.data.set(values, r * stripe.columns + other.start);
        }
      }
      stripes.unshift(stripe);
    }
    return Triangle.of(stripes);
  }

  /** Blocks of columns of the triangle's inverse, from the first row on that is not zero. */
  async #inverseColumns(stripeRows: number) {
    const n = this.#scale.length;
    const inverses: { readonly start: number; readonly columns: Matrix }[] = [];
    const blocks = Math.max(1, Math.floor(stripeRows / this.#blockRows));
    for (let block = 0; block < this.#inverses.length; block += blocks) {
      const [start] = this.#span(block);
      const [, end] = this.#span(Math.min(block + blocks, this.#inverses.length) - 1);
      const ones = matrix(n - start, end - start);
      for (let c = 0; c < ones.columns; c++) ones.data[c * ones.columns + c] = 1;
      inverses.push({ start, columns: await this.#forward(ones, block) });
    }
    return inverses;
  }

  /** The triangle's inverse times C `[rows, columns]`, of the rows and columns from a block on. */
  async #forward(right: Matrix, first = 0): Promise<Matrix> {
    const [base] = this.#span(first);
    const { rows, columns } = right;
    const result = matrix(rows, columns);
    for (let i = first; i < this.#inverses.length; i++) {
      const [start, end] = this.#span(i);
      const known = i === first ? null : await this.#products.product(
        partOf(this.#lower, [start, end], [base, start]),
        rowsOf(result, 0, start - base),
      );
      const part = partOf(right, [start - base, end - base], [0, columns]);
      if (known) { for (let j = 0; j < part.data.length; j++) part.data[j] -= known.data[j]; }
      const solved = await this.#products.product(this.#inverses[i], part);
      result.data.set(solved.data, (start - base) * columns);
    }
    return result;
  }

  #span(block: number): [start: number, end: number] {
    const start = block * this.#blockRows;
    return [start, Math.min(start + this.#blockRows, this.#scale.length)];
  }
}
