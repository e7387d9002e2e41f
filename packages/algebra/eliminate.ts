import { RidgeFactor } from "./cholesky.ts";
import { type Matrix, matrix, partOf, type Products } from "./products.ts";
import { type Terms, Triangle } from "./triangle.ts";

/**
 * Channels that go between two products of whole matrices: at 1,536 channels 64 were as fast as
 * 128.
 */
const PANEL_ROWS = 64;
/**
 * Share of single channels that are gone, and still in the matrices, when these are made smaller:
 * both cost time.
 */
const CLEARED_SHARE = 1 / 8;
/**
 * The inverse of a matrix whose diagonal is ones has nothing below 1 on its own; less than this has
 * no digits left.
 */
const SOUND = 0.5;

export interface EliminationOptions {
  /** Added to the diagonal of H. */
  readonly lambda: number;
  /** Consecutive channels that go together, as one unit; it divides their number. */
  readonly width?: number;
  /**
   * Channels that go between two products of whole matrices, where units are single ones. It
   * decides nothing but time.
   */
  readonly panelRows?: number;
  /** Rows of P and G that are multiplied at once. It decides nothing but time. */
  readonly stripeRows?: number;
  /** Hears of the units gone, and of their number; may throw to stop. */
  readonly onProgress?: (gone: number, units: number) => void;
}

export interface Elimination {
  /** Units, the first to go first. */
  readonly removed: readonly number[];
  /**
   * What each of them adds to the error when it goes, in the units of H · W²; they add up to
   * tr(Wᵀ(H + λI)W).
   */
  readonly increases: readonly number[];
}

/**
 * Greedy backward elimination of the inputs of a linear map, each time the unit u whose loss hurts
 * the output least after what stays was fitted to make up for it: the optimal brain surgeon
 * (Hassibi and Stork 1993, equation 5) with all outputs of an input as one weight, as OSSCAR has it
 * (arXiv 2403.12983). With P = (H + λI)⁻¹ the error grows by tr(W_uᵀ P_uu⁻¹ W_u); then W ← W − P_:u
 * P_uu⁻¹ W_u and P ← P − P_:u P_uu⁻¹ P_u: (SparseGPT, arXiv 2301.00774, section 3, has both for
 * single weights). The fit shrinks toward the weights that are there: the error is tr((Ŵ − W)ᵀ(H +
 * λI)(Ŵ − W)).
 *
 * W itself is never updated: errors need the products of its rows alone, G = WWᵀ, and G is
 * downdated as P is, G ← G − XᵀT − TᵀX with X = P_uu⁻¹ P_u: and T = G_u: − ½ G_uu X. Single
 * channels go in panels, like pivoted Cholesky by blocks: inside one, only the diagonals and the
 * rows of what goes are brought up to date, in double precision, so that every choice is the same
 * as one by one, and the backend takes a whole panel off P and G at once. For n channels and d
 * outputs these are about n³ + n²d / 2 multiply-adds, factor and inverse included, and three
 * matrices of n² values: of P and G, which are symmetric, only what is on and below the diagonal is
 * brought up to date.
 *
 * @param gram H `[n, n]`, of which the lower triangle is read.
 * @param weights W `[n, d]`
 * @returns null where H + λI is not positive definite as far as float32 can tell, or numbers in it
 *   are not finite.
 * @throws {RangeError} when the width of units does not divide n.
 */
export async function eliminate(
  products: Products,
  gram: Matrix,
  weights: Matrix,
  options: EliminationOptions,
): Promise<Elimination | null> {
  const n = gram.rows;
  const { width = 1, panelRows = PANEL_ROWS, stripeRows } = options;
  if (n % width !== 0) throw new RangeError(`${n} channels are not units of ${width}`);
  const start = await scaledStart(products, gram, weights, options);
  if (!start) return null;
  let { inverse, outer } = start;
  let units = Array.from({ length: n / width }, (_, u) => u);
  let gone = new Uint8Array(units.length);
  const removed: number[] = [];
  const increases: number[] = [];
  while (removed.length < n / width) {
    options.onProgress?.(removed.length, n / width);
    const left = n / width - removed.length;
    const panel = width === 1
      ? channelPanel(inverse, outer, gone, Math.min(panelRows, left))
      : await unitPanel(products, inverse, outer, width);
    if (!panel) return null;
    removed.push(...panel.picks.map((place) => units[place]));
    increases.push(...panel.increases);
    for (const place of panel.picks) gone[place] = 1;
    let kept: readonly number[] | undefined;
    if (width > 1 || gone.length - (left - panel.picks.length) >= CLEARED_SHARE * gone.length) {
      const staying = units.keys().toArray().filter((place) => !gone[place]);
      units = staying.map((place) => units[place]);
      gone = new Uint8Array(units.length);
      kept = staying.flatMap((u) => Array.from({ length: width }, (_, i) => u * width + i));
    }
    if (units.length === 0) break;
    const { rows, solved, cross } = panel;
    const less = (of: Triangle, terms: Terms) => of.less(products, { kept, terms, stripeRows });
    inverse = await less(inverse, [[rows, solved]]);
    outer = await less(outer, [[solved, cross], [cross, solved]]);
  }
  return { removed, increases };
}

/** P and G of channels that are scaled to a diagonal of ones in H + λI, which changes no error. */
async function scaledStart(
  products: Products,
  gram: Matrix,
  weights: Matrix,
  options: EliminationOptions,
) {
  const inverted = await scaledInverse(products, gram, options);
  if (!inverted) return null;
  const { inverse, scale } = inverted;
  const { rows, columns, data } = weights;
  const scaled = matrix(rows, columns, data.map((value, i) => value / scale[(i / columns) | 0]));
  return { inverse, outer: await Triangle.outer(products, scaled, options) };
}

/** The factor, a whole matrix, is let go before there is another one. */
async function scaledInverse(products: Products, gram: Matrix, options: EliminationOptions) {
  const factor = await RidgeFactor.of(products, gram, options.lambda);
  return factor && { inverse: await factor.scaledInverse(options), scale: factor.scale };
}

/** Units that go one after the other, and what takes them off P and G. */
interface Panel {
  /** Places of the units in P and G. */
  readonly picks: readonly number[];
  readonly increases: readonly number[];
  /** P loses rowsᵀ · solved; both are `[channels picked, channels of P]`. */
  readonly rows: Matrix;
  readonly solved: Matrix;
  /** G loses solvedᵀ · cross and its transpose. */
  readonly cross: Matrix;
}

/**
 * The next single channels. Of P and G only the diagonals are kept up to date; a row of either is,
 * once it is the row of a channel that goes. There L = P_u: / √P_uu takes the place of both `rows`
 * and `solved`.
 */
function channelPanel(
  inverse: Triangle,
  outer: Triangle,
  goneBefore: Uint8Array,
  count: number,
): Panel | null {
  const n = inverse.size;
  const [diagonal, energy] = [inverse.diagonal(), outer.diagonal()];
  const gone = goneBefore.slice();
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
    const [row, cross] = [inverse, outer]
      .map((of) => Float64Array.from(of.rows(pick, pick + 1).data));
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
  inverse: Triangle,
  outer: Triangle,
  width: number,
): Promise<Panel | null> {
  let best: { unit: number; increase: number; factor: RidgeFactor } | null = null;
  for (let unit = 0; unit * width < inverse.size; unit++) {
    const factor = await RidgeFactor.of(products, ownPart(inverse, unit, width), 0);
    if (!factor) return null;
    const solved = await factor.solve(ownPart(outer, unit, width));
    let trace = 0;
    for (let c = 0; c < width; c++) trace += solved.data[c * width + c];
    const increase = Math.max(0, trace);
    if (increase < (best?.increase ?? Infinity)) best = { unit, increase, factor };
  }
  if (!best) return null;
  const { unit, increase, factor } = best;
  const rows = inverse.rows(unit * width, (unit + 1) * width);
  const solved = await factor.solve(rows);
  const half = ownPart(outer, unit, width);
  half.data.forEach((value, i) => half.data[i] = -value / 2);
  const cross = await products.product(half, solved, {
    add: outer.rows(unit * width, (unit + 1) * width),
  });
  return { picks: [unit], increases: [increase], rows, solved, cross };
}

/** Rows and columns of one unit `[width, width]`. */
function ownPart(of: Triangle, unit: number, width: number): Matrix {
  const [start, end] = [unit * width, (unit + 1) * width];
  return partOf(of.rows(start, end), [0, width], [start, end]);
}
