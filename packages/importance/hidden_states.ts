import { type GramSum, matrix } from "@lopper/algebra";
import type { Shape } from "@lopper/core";
import type { Decoder, HiddenStates } from "@lopper/runtime";
import { batchNumbers, type BatchOptions } from "./batches.ts";
import type { Sequences } from "./calibration.ts";

/** What enters the first block, batch by batch. */
export async function embeddedBatches(
  decoder: Decoder,
  set: Sequences,
  options: BatchOptions,
): Promise<HiddenStates[]> {
  const found: HiddenStates[] = [];
  for (const numbers of batchNumbers(set, options)) {
    found.push(await decoder.embed(numbers.map((i) => set.sequences[i])));
  }
  return found;
}

/** Runs a block on a batch, and adds what enters its last projection to a Gram matrix. */
export async function addCaptured(
  gram: GramSum,
  decoder: Decoder,
  shape: Shape,
  block: number,
  input: HiddenStates,
): Promise<HiddenStates> {
  const { hidden, captured } = await decoder.captureBlock(block, shape, input, "values");
  await addTokens(gram, input, captured);
  return hidden;
}

/** Adds to a Gram matrix what there is of each token of a batch, `[batch · length, columns]`. */
export async function addTokens(
  gram: GramSum,
  { batch, length }: Pick<HiddenStates, "batch" | "length">,
  values: Float32Array,
) {
  const tokens = batch * length;
  await gram.add(matrix(tokens, values.length / tokens, values));
}
