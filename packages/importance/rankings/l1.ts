import { type Block, type DeclaredWeight, unitAxis } from "@lopper/core";
import type { WeightRule } from "./rule.ts";

/**
 * The published ranking (arXiv 2501.09949): a unit is worth the L1 norms of its rows of every
 * matrix of which it has rows. Where it has more rows of one than of another, each of the fewer
 * counts as often as it is used: a channel c is worth ‖gate[c,:]‖₁ + ‖up[c,:]‖₁, and a KV group the
 * mean over its query heads' rows of ‖q row‖₁ + ‖k row‖₁ + ‖v row‖₁. Biases do not count. Sums are
 * in double precision.
 */
export const l1 = {
  name: "l1",
  goesBy: "the L1 norm of their weights, as published",
  needs: "weights",
  isTried: true,
  async worth(block, dimension, read) {
    const matrices = Map.groupBy(matricesOf(block, dimension), ({ rows }) => rows);
    const most = Math.max(...matrices.keys());
    const sums: Float64Array[] = [];
    for (const [rows, alike] of matrices) {
      const norms = [];
      for (const { weight, units } of alike) {
        norms.push(unitNorms(await read(weight), units, rows));
      }
      sums.push(norms.reduceRight(plus).map((norm) => most / rows * norm));
    }
    return sums.reduceRight(plus).map((sum) => sum / most);
  },
} as const satisfies WeightRule;

/** The matrices that have rows of a dimension's units, and how many of each unit. */
function matricesOf({ weights, dimensions }: Block, dimension: string) {
  const { units } = dimensions.find(({ name }) => name === dimension)!;
  return weights.flatMap((weight: DeclaredWeight) => {
    const axis = unitAxis(weight);
    const has = weight.axes.length === 2 && axis?.at === 0 && axis.dimension === dimension;
    return has ? [{ weight, units, rows: axis.width }] : [];
  });
}

/** The sum of ‖row‖₁ over the rows of each unit. */
function unitNorms(values: Float32Array, units: number, rows: number): Float64Array {
  const length = values.length / units / rows;
  const sums = new Float64Array(units);
  for (let row = 0; row < units * rows; row++) {
    let norm = 0;
    for (let i = row * length; i < (row + 1) * length; i++) norm += Math.abs(values[i]);
    sums[Math.floor(row / rows)] += norm;
  }
  return sums;
}

function plus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]);
}
