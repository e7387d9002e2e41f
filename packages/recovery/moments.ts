import { GramSum, type Matrix, matrix, type Products } from "@lopper/algebra";
import type { Shape } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import { behindNorm } from "./behind_norm.ts";
import type { FitBatch } from "./fit_batch.ts";
import type { PassPair } from "./pass.ts";

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
  products: Products,
  decoder: Decoder,
  shape: Shape,
  { dense, pruned }: PassPair,
): AsyncGenerator<FitBatch> {
  const { placement = "pre", multiplier = 1 } = decoder.blocks[pruned.block];
  for (let b = 0; b < pruned.states.length; b++) {
    const input = await pruned.states.read(b);
    const tokens = input.batch * input.length;
    const run = await decoder.captureBlock(pruned.block, shape, input, "values");
    const captured = matrix(tokens, run.captured.length / tokens, run.captured);
    const { data: wanted } = await dense.states.read(b);
    const rows = (data: Float32Array) => matrix(tokens, data.length / tokens, data);
    if (placement === "pre") {
      const missing = difference(wanted, run.hidden.data);
      yield { captured, missing: rows(scaled(missing, 1 / multiplier)) };
    } else {
      const added = rows(scaled(difference(wanted, input.data), 1 / multiplier));
      yield await behindNorm(products, decoder, shape, { block: pruned.block, captured, added });
    }
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

/** In place. */
export function scaled(values: Float32Array, factor: number): Float32Array {
  if (factor !== 1) { for (let i = 0; i < values.length; i++) values[i] *= factor; }
  return values;
}

/** A loop: `map` with a function takes several times as long, and hidden states are long. */
export function difference(a: Float32Array, b: Float32Array): Float32Array {
  const result = new Float32Array(a.length);
  for (let i = 0; i < result.length; i++) result[i] = a[i] - b[i];
  return result;
}
