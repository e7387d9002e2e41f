import { inverse, type Matrix as Dense, solve } from "ml-matrix";

/** A unit that goes, and what it adds to the error. */
export interface PlainStep {
  readonly unit: number;
  readonly increase: number;
  /** What the next best one would have added; Infinity where there was none. */
  readonly next: number;
}

/**
 * Backward elimination in double precision, one unit after the other, by the formulas as they
 * stand: every score anew, W and P whole.
 * @param gram H + λI `[n, n]`
 * @param weights W `[n, d]`
 */
export function plainElimination(gram: Dense, weights: Dense, width: number): PlainStep[] {
  const P = inverse(gram);
  const W = weights.clone();
  const range = (start: number, end: number) =>
    Array.from({ length: end - start }, (_, i) => start + i);
  const all = range(0, gram.columns), outputs = range(0, W.columns);
  let units = range(0, gram.rows / width);
  const steps: PlainStep[] = [];
  const channels = (unit: number) => range(unit * width, (unit + 1) * width);
  while (units.length > 0) {
    const scores = units.map((unit) => {
      const own = channels(unit);
      const rows = W.selection(own, outputs);
      return rows.transpose().mmul(solve(P.selection(own, own), rows)).trace();
    });
    const [increase, next = Infinity] = scores.toSorted((a, b) => a - b);
    const unit = units[scores.indexOf(increase)];
    const own = channels(unit);
    const columns = P.selection(all, own);
    const inner = P.selection(own, own);
    W.sub(columns.mmul(solve(inner, W.selection(own, outputs))));
    P.sub(columns.mmul(solve(inner, P.selection(own, all))));
    units = units.filter((other) => other !== unit);
    steps.push({ unit, increase, next });
  }
  return steps;
}

/**
 * The least error that weights have which are 0 for what is gone, by solving for the others:
 * min tr((Ŵ − W)ᵀ H (Ŵ − W)).
 */
export function leastError(gram: Dense, weights: Dense, gone: readonly number[]): number {
  const kept = Array.from({ length: gram.rows }, (_, i) => i).filter((i) => !gone.includes(i));
  const difference = weights.clone().mul(-1);
  if (kept.length > 0) {
    const right = gram.mmul(weights).selection(
      kept,
      Array.from({ length: weights.columns }, (_, i) => i),
    );
    const fitted = solve(gram.selection(kept, kept), right);
    kept.forEach((row, r) => {
      for (let c = 0; c < weights.columns; c++) {
        difference.set(row, c, fitted.get(r, c) + difference.get(row, c));
      }
    });
  }
  return difference.transpose().mmul(gram).mmul(difference).trace();
}
