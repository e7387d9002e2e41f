import { CholeskyDecomposition, inverse, Matrix as Dense } from "ml-matrix";
import { type Matrix, matrix, partOf, type Products, rowsOf } from "./products.ts";

/** Rows that are factored at once outside the backend: small beside its products, large enough to keep them few. */
const BLOCK_ROWS = 128;

/**
 * The factor of H + λI for a symmetric H, of which the lower triangle is read, by blocks of rows (Golub and Van Loan,
 * Matrix Computations, 4.2.9): the backend multiplies, ml-matrix factors the diagonal blocks. H is scaled to a diagonal of
 * ones first, since energies of channels differ by orders of magnitude and products are in float32.
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
    const forward = matrix(n, columns);
    for (const [i, inverted] of this.#inverses.entries()) {
      const [start, end] = this.#span(i);
      const known = i === 0 ? null : await this.#products.product(
        partOf(this.#lower, [start, end], [0, start]),
        rowsOf(forward, 0, start),
      );
      const part = matrix(end - start, columns, scaled.data.slice(start * columns, end * columns));
      known?.data.forEach((value, j) => part.data[j] -= value);
      const solved = await this.#products.product(inverted, part);
      forward.data.set(solved.data, start * columns);
    }
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

  /** (S(H + λI)S)⁻¹ `[n, n]`, from the inverse of the triangle: its transpose times itself. */
  async scaledInverse(): Promise<Matrix> {
    const n = this.#scale.length;
    const result = matrix(n, n, this.#lower.data.slice());
    for (const [i, inverted] of this.#inverses.entries()) {
      const [start, end] = this.#span(i);
      if (start > 0) {
        const left = partOf(result, [start, end], [0, start]);
        const above = await this.#products.product(left, rowsOf(result, 0, start));
        const row = await this.#products.product(inverted, above);
        row.data.forEach((value, j) => result.data[start * n + j] = -value);
      }
      for (let r = 0; r < inverted.rows; r++) {
        const values = inverted.data.subarray(r * inverted.columns, (r + 1) * inverted.columns);
        result.data.set(values, (start + r) * n + start);
      }
    }
    for (let i = 0; i < this.#inverses.length; i++) {
      const [start, end] = this.#span(i);
      // What is above these rows is 0 in their columns, and the rows above are not read any more.
      const columns = partOf(result, [start, n], [start, end]);
      const rows = await this.#products.product(columns, rowsOf(result, start, n), {
        transA: true,
      });
      result.data.set(rows.data, start * n);
    }
    return result;
  }

  #span(block: number): [start: number, end: number] {
    const start = block * this.#blockRows;
    return [start, Math.min(start + this.#blockRows, this.#scale.length)];
  }
}
