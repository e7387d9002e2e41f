import { RidgeFactor } from "./cholesky.ts";
import { type Matrix, matrix, partOf, type Products, rowsOf } from "./products.ts";

/** Channels that go between two products of whole matrices: at 1,536 channels 64 were as fast as 128. */
const PANEL_ROWS = 64;
/** 64 MB: large enough to keep the engine busy, small beside matrices that do not fit into it. */
const CHUNK_VALUES = 2 ** 24;
/** The inverse of a matrix whose diagonal is ones has nothing below 1 on its own; less than this has no digits left. */
const SOUND = 0.5;

export interface EliminationOptions {
  /** Added to the diagonal of H. */
  readonly lambda: number;
  /** Consecutive channels that go together, as one unit; it divides their number. */
  readonly width?: number;
  /** Channels that go between two products of whole matrices, where units are single ones. It decides nothing but time. */
  readonly panelRows?: number;
  /** Values that one product of whole matrices may return at a time. It decides nothing but memory. */
  readonly chunkValues?: number;
  /** Hears of the units gone, and of their number; may throw to stop. */
  readonly onProgress?: (gone: number, units: number) => void;
}

export interface Elimination {
  /** Units, the first to go first. */
  readonly removed: readonly number[];
  /** What each of them adds to the error when it goes, in the units of H · W²; they add up to tr(Wᵀ(H + λI)W). */
  readonly increases: readonly number[];
}

/**
 * Greedy backward elimination of the inputs of a linear map, each time the unit u whose loss hurts the output least after
 * what stays was fitted to make up for it: the optimal brain surgeon (Hassibi and Stork 1993, equation 5) with all outputs
 * of an input as one weight, as OSSCAR has it (arXiv 2403.12983). With P = (H + λI)⁻¹ the error grows by
 * tr(W_uᵀ P_uu⁻¹ W_u); then W ← W − P_:u P_uu⁻¹ W_u and P ← P − P_:u P_uu⁻¹ P_u: (SparseGPT, arXiv 2301.00774,
 * section 3, has both for single weights). The fit shrinks toward the weights that are there: the error is tr((Ŵ − W)ᵀ(H + λI)(Ŵ − W)).
 *
 * W itself is never updated: errors need the products of its rows alone, G = WWᵀ, and G is downdated as P is, G ← G − XᵀT −
 * TᵀX with X = P_uu⁻¹ P_u: and T = G_u: − ½ G_uu X. Single channels go in panels, like pivoted Cholesky by blocks: inside
 * one, only the diagonals and the rows of what goes are brought up to date, in double precision, so that every choice is the
 * same as one by one, and the backend takes a whole panel off P and G at once. For n channels and d outputs these are about
 * 2.5 n³ + n²d multiply-adds, factor and inverse included, and three matrices of n² values.
 *
 * @param gram H `[n, n]`, of which the lower triangle is read.
 * @param weights W `[n, d]`
 * @returns null where H + λI is not positive definite as far as float32 can tell, or numbers in it are not finite.
 * @throws {RangeError} when the width of units does not divide n.
 */
export async function eliminate(
  products: Products,
  gram: Matrix,
  weights: Matrix,
  options: EliminationOptions,
): Promise<Elimination | null> {
  const n = gram.rows;
  const { lambda, width = 1, panelRows = PANEL_ROWS, chunkValues = CHUNK_VALUES } = options;
  if (n % width !== 0) throw new RangeError(`${n} channels are not units of ${width}`);
  const start = await scaledStart(products, gram, weights, lambda);
  if (!start) return null;
  let { inverse, outer } = start;
  let units = Array.from({ length: n / width }, (_, u) => u);
  const removed: number[] = [];
  const increases: number[] = [];
  while (units.length > 0) {
    options.onProgress?.(removed.length, n / width);
    const panel = width === 1
      ? channelPanel(inverse, outer, Math.min(panelRows, units.length))
      : await unitPanel(products, inverse, outer, width);
    if (!panel) return null;
    removed.push(...panel.picks.map((place) => units[place]));
    increases.push(...panel.increases);
    const gone = new Set(panel.picks);
    const staying = units.flatMap((_, place) => gone.has(place) ? [] : [place]);
    units = staying.map((place) => units[place]);
    if (units.length === 0) break;
    const channels = staying.flatMap((u) => Array.from({ length: width }, (_, i) => u * width + i));
    const { rows, solved, cross } = panel;
    const less = (of: Matrix, terms: Terms) =>
      downdated(products, of, { kept: channels, terms, chunkValues });
    inverse = await less(inverse, [[rows, solved]]);
    outer = await less(outer, [[solved, cross], [cross, solved]]);
  }
  return { removed, increases };
}

/** P and G of channels that are scaled to a diagonal of ones in H + λI, which changes no error. */
async function scaledStart(products: Products, gram: Matrix, weights: Matrix, lambda: number) {
  const inverted = await scaledInverse(products, gram, lambda);
  if (!inverted) return null;
  const { inverse, scale } = inverted;
  const { rows, columns, data } = weights;
  const scaled = matrix(rows, columns, data.map((value, i) => value / scale[(i / columns) | 0]));
  return { inverse, outer: await products.product(scaled, scaled, { transB: true }) };
}

/** The factor, a whole matrix, is let go before there is another one. */
async function scaledInverse(products: Products, gram: Matrix, lambda: number) {
  const factor = await RidgeFactor.of(products, gram, lambda);
  return factor && { inverse: await factor.scaledInverse(), scale: factor.scale };
}

/** Units that go one after the other, and what takes them off P and G. */
interface Panel {
  /** Places of the units among those that were left. */
  readonly picks: readonly number[];
  readonly increases: readonly number[];
  /** P loses rowsᵀ · solved; both are `[channels gone, channels left]`. */
  readonly rows: Matrix;
  readonly solved: Matrix;
  /** G loses solvedᵀ · cross and its transpose. */
  readonly cross: Matrix;
}

/**
 * The next single channels. Of P and G only the diagonals are kept up to date; a row of either is, once it is the row of a
 * channel that goes. There L = P_u: / √P_uu takes the place of both `rows` and `solved`.
 */
function channelPanel(inverse: Matrix, outer: Matrix, count: number): Panel | null {
  const n = inverse.rows;
  const diagonal = Float64Array.from({ length: n }, (_, c) => inverse.data[c * n + c]);
  const energy = Float64Array.from({ length: n }, (_, c) => outer.data[c * n + c]);
  const gone = new Uint8Array(n);
  const rows: Float64Array[] = [], crosses: Float64Array[] = [];
  const picks: number[] = [], increases: number[] = [];
  while (picks.length < count) {
    let pick = -1, least = Infinity;
    for (let c = 0; c < n; c++) {
      if (gone[c]) continue;
      if (!(diagonal[c] >= SOUND)) return null;
      const score = Math.max(0, energy[c]) / diagonal[c];
      if (score < least) [pick, least] = [c, score];
    }
    if (pick < 0) return null;
    const row = Float64Array.from(inverse.data.subarray(pick * n, (pick + 1) * n));
    const cross = Float64Array.from(outer.data.subarray(pick * n, (pick + 1) * n));
    for (const [j, earlier] of rows.entries()) takeOff(row, cross, earlier, crosses[j], pick);
    const root = Math.sqrt(diagonal[pick]);
    const half = energy[pick] / diagonal[pick] / 2;
    for (let c = 0; c < n; c++) {
      const value = row[c] / root;
      const product = cross[c] / root - half * value;
      row[c] = value;
      cross[c] = product;
      diagonal[c] -= value * value;
      energy[c] -= 2 * value * product;
    }
    rows.push(row);
    crosses.push(cross);
    gone[pick] = 1;
    picks.push(pick);
    increases.push(least);
  }
  const stacked = stack(rows, n);
  return { picks, increases, rows: stacked, solved: stacked, cross: stack(crosses, n) };
}

/** Takes what an earlier channel took off P and G off their rows of the next. */
function takeOff(
  row: Float64Array,
  cross: Float64Array,
  earlierRow: Float64Array,
  earlierCross: Float64Array,
  pick: number,
) {
  const [a, b] = [earlierRow[pick], earlierCross[pick]];
  for (let c = 0; c < row.length; c++) {
    row[c] -= a * earlierRow[c];
    cross[c] -= a * earlierCross[c] + b * earlierRow[c];
  }
}

function stack(rows: readonly Float64Array[], columns: number): Matrix {
  const stacked = matrix(rows.length, columns);
  rows.forEach((row, r) => stacked.data.set(row, r * columns));
  return stacked;
}

/** The next unit of several channels: these are few, and wide enough for products of their own. */
async function unitPanel(
  products: Products,
  inverse: Matrix,
  outer: Matrix,
  width: number,
): Promise<Panel | null> {
  let best: { unit: number; increase: number; factor: RidgeFactor } | null = null;
  for (let unit = 0; unit * width < inverse.rows; unit++) {
    const span = [unit * width, (unit + 1) * width] as const;
    const factor = await RidgeFactor.of(products, partOf(inverse, span, span), 0);
    if (!factor) return null;
    const solved = await factor.solve(partOf(outer, span, span));
    let trace = 0;
    for (let c = 0; c < width; c++) trace += solved.data[c * width + c];
    const increase = Math.max(0, trace);
    if (increase < (best?.increase ?? Infinity)) best = { unit, increase, factor };
  }
  if (!best) return null;
  const { unit, increase, factor } = best;
  const [start, end] = [unit * width, (unit + 1) * width];
  const rows = rowsOf(inverse, start, end);
  const solved = await factor.solve(rows);
  const half = partOf(outer, [start, end], [start, end]);
  half.data.forEach((value, i) => half.data[i] = -value / 2);
  const cross = await products.product(half, solved, { add: rowsOf(outer, start, end) });
  // P is overwritten while its rows are in use.
  return {
    picks: [unit],
    increases: [increase],
    rows: matrix(width, inverse.columns, rows.data.slice()),
    solved,
    cross,
  };
}

type Terms = readonly (readonly [left: Matrix, right: Matrix])[];

/**
 * A square matrix less the sum of leftᵀ · right over `terms`, of the rows and columns `kept`, ascending. It takes the place
 * of the matrix itself, in the beginning of its memory.
 */
async function downdated(
  products: Products,
  { columns: n, data }: Matrix,
  { kept, terms, chunkValues }: {
    readonly kept: readonly number[];
    readonly terms: Terms;
    readonly chunkValues: number;
  },
): Promise<Matrix> {
  const m = kept.length;
  // What is read is never before what is written.
  let to = 0;
  for (const r of kept) {
    const row = r * n;
    for (let c = 0; c < m; c++) data[to++] = data[row + kept[c]];
  }
  const left = transposedNegative(terms.map(([left]) => left), kept);
  const right = gathered(terms.map(([, right]) => right), kept);
  const result = matrix(m, m, data.subarray(0, m * m));
  const chunk = Math.max(1, Math.floor(chunkValues / m));
  for (let start = 0; start < m; start += chunk) {
    const end = Math.min(start + chunk, m);
    const rows = await products.product(rowsOf(left, start, end), right, {
      add: rowsOf(result, start, end),
    });
    result.data.set(rows.data, start * m);
  }
  return result;
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
