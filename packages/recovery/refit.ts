import { type Matrix, type Products, RidgeFactor } from "@lopper/algebra";
import type { FloatDType } from "@lopper/core";
import { fromFloat32, toFloat32 } from "@lopper/formats";
import type { FitBatch } from "./fit_batch.ts";
import { difference, type Moments } from "./moments.ts";

/**
 * Shares of the mean diagonal: Týr's 0.01 (λ = 0.01 · mean diag H), and what holds on more to the
 * weights of before.
 */
export const LAMBDAS = [0.01, 0.1, 1] as const;

/**
 * A projection as it is: transposed, `[channels, hiddenSize]`, and the dtype in which the
 * checkpoint has it.
 */
export interface Projection {
  readonly rows: Float32Array;
  readonly dtype: FloatDType;
}

export interface Fit {
  readonly lambda: number;
  /** The projection as it would be, `[channels, hiddenSize]`, rounded to the checkpoint's dtype. */
  readonly rows: Float32Array;
  /** What is added to the projection. */
  readonly change: Matrix;
}

/**
 * Ridge regression that shrinks toward the weights that are there: W₀ and (XᵀX + λI)⁻¹XᵀR, λ being
 * a share of the mean diagonal of XᵀX. Null where the equations have no solution that the dtype can
 * hold.
 */
export async function fitOf(
  products: Products,
  { gram, cross }: Moments,
  { rows: before, dtype }: Projection,
  lambda: number,
): Promise<Fit | null> {
  let trace = 0;
  for (let i = 0; i < gram.rows; i++) trace += gram.data[i * gram.rows + i];
  const factor = await RidgeFactor.of(products, gram, lambda * trace / gram.rows);
  if (!factor) return null;
  const change = await factor.solve(cross);
  const rows = toFloat32(dtype, fromFloat32(dtype, before.map((w, i) => w + change.data[i])));
  return rows.every((value) => Number.isFinite(value)) ? { lambda, rows, change } : null;
}

/**
 * The fit with the smallest error on text that none was fitted on; null where none is smaller than
 * without.
 */
export async function bestFit(
  products: Products,
  fits: readonly Fit[],
  batches: AsyncIterable<FitBatch>,
): Promise<Fit | null> {
  let without = 0;
  const errors = fits.map(() => 0);
  for await (const { captured, missing } of batches) {
    without += squares(missing.data);
    for (const [i, { change }] of fits.entries()) {
      const added = await products.product(captured, change);
      errors[i] += squares(difference(missing.data, added.data));
    }
  }
  const least = Math.min(...errors);
  return least < without ? fits[errors.indexOf(least)] : null;
}

function squares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
