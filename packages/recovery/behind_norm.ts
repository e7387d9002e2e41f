import { type Matrix, matrix, type Products } from "@lopper/algebra";
import { outputProjection, type Shape } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import type { FitBatch } from "./fit_batch.ts";

/** Gains below it scale a channel to nothing: what is missing there no projection makes up for. */
const MIN_GAIN = 1e-6;

/** What a block computes, and what it would have to add. */
export interface NormedOutput {
  /** Its number. */
  readonly block: number;
  /** What enters its projection, `[tokens, channels]`. */
  readonly captured: Matrix;
  /** What it would add if the pruned hidden states were the dense ones, `[tokens, hiddenSize]`. */
  readonly added: Matrix;
}

/**
 * What the projection of a block is fitted on behind which lies an RMS norm: it adds
 * g · y / rms(y), y = W x, whatever the length of y. With rms(y) as it is, that is linear in W:
 * rows are divided by it, and the projection's output is to come near to what is added, divided by
 * the gain g. One step of an iteration that would adjust rms(y) again; what it is worth, text
 * decides.
 */
export async function behindNorm(
  products: Products,
  decoder: Decoder,
  shape: Shape,
  { block, captured, added }: NormedOutput,
): Promise<FitBatch> {
  const { norm } = decoder.architecture;
  const { gain, rows, bias } = await projectionOf(decoder, shape, block);
  const { data: y, columns } = await products.product(captured, rows);
  const scaled = matrix(captured.rows, captured.columns, captured.data.slice());
  const missing = matrix(captured.rows, columns);
  const one = norm.kind === "rms1p" ? 1 : 0;
  for (let t = 0; t < captured.rows; t++) {
    let squares = 0;
    for (let j = 0; j < columns; j++) {
      const value = y[t * columns + j] += bias?.[j] ?? 0;
      squares += value * value;
    }
    const length = Math.sqrt(squares / columns + norm.eps);
    for (let j = 0; j < columns; j++) {
      const g = gain[j] + one;
      const wanted = Math.abs(g) < MIN_GAIN ? 0 : added.data[t * columns + j] / g;
      const has = y[t * columns + j] / length;
      missing.data[t * columns + j] = Math.abs(g) < MIN_GAIN ? 0 : wanted - has;
    }
    const row = scaled.data.subarray(t * scaled.columns, (t + 1) * scaled.columns);
    for (let j = 0; j < row.length; j++) row[j] /= length;
  }
  return { captured: scaled, missing };
}

/** The weights of a block as they are now; good until the decoder runs. */
async function projectionOf(decoder: Decoder, shape: Shape, number: number) {
  const block = decoder.blocks[number];
  const { name } = outputProjection(block);
  const found = await decoder.weights.block(number, shape[number]!);
  const weights = new Map(found.map((weight) => [weight.name, weight]));
  const { data, rows } = weights.get(name)!;
  return {
    gain: weights.get(block.placement === "both" ? "post_norm" : "norm")!.data,
    rows: matrix(rows, data.length / rows, data),
    bias: weights.get(`${name}_bias`)?.data,
  };
}
