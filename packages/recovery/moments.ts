import { GramSum, type Matrix, matrix, type Products } from "@lopper/algebra";
import type { Shape } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import type { PassPair } from "./pass.ts";

/** One batch of what a projection is fitted on, a row for each token. */
export interface FitBatch {
  /** X: what enters the projection, `[tokens, channels]`. */
  readonly captured: Matrix;
  /** R: what the block's output lacks of the dense hidden states, `[tokens, hiddenSize]`. */
  readonly missing: Matrix;
}

/**
 * The second moments that a regression needs: the lower triangle of XᵀX `[channels, channels]`, and
 * XᵀR `[channels, hiddenSize]`.
 */
export interface Moments {
  readonly gram: Matrix;
  readonly cross: Matrix;
}

/**
 * What the projection of the block before the pruned text is fitted on, batch by batch. The dense
 * text stands where the output of the block is to be.
 */
export async function* fitBatches(
  decoder: Decoder,
  shape: Shape,
  { dense, pruned }: PassPair,
): AsyncGenerator<FitBatch> {
  for (const [b, input] of pruned.hiddenStates.entries()) {
    const tokens = input.batch * input.length;
    const { hidden, captured } = await decoder.captureBlock(pruned.block, shape, input, "values");
    const missing = difference(dense.hiddenStates[b].data, hidden.data);
    yield {
      captured: matrix(tokens, captured.length / tokens, captured),
      missing: matrix(tokens, missing.length / tokens, missing),
    };
  }
}

/** The moments of all batches, of which there is one at least. */
export async function momentsOf(
  products: Products,
  batches: AsyncIterable<FitBatch>,
): Promise<Moments> {
  const gram = new GramSum(products);
  let cross: Matrix | undefined;
  for await (const { captured, missing } of batches) {
    await gram.add(captured);
    cross = await products.product(captured, missing, { transA: true, add: cross });
  }
  return { gram: gram.take(), cross: cross! };
}

/** A loop: `map` with a function takes several times as long, and hidden states are long. */
export function difference(a: Float32Array, b: Float32Array): Float32Array {
  const result = new Float32Array(a.length);
  for (let i = 0; i < result.length; i++) result[i] = a[i] - b[i];
  return result;
}
