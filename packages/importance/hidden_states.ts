import { type GramSum, matrix } from "@lopper/algebra";
import type { Shape } from "@lopper/core";
import { type Decoder, type HiddenStates, KeptStates } from "@lopper/runtime";
import type { Sequences } from "./calibration.ts";

/** What enters the first block, batch by batch, in the decoder's workspace. */
export async function embeddedBatches(
  decoder: Decoder,
  set: Pick<Sequences, "sequences">,
  batches: readonly (readonly number[])[],
): Promise<KeptStates> {
  const states = new KeptStates(decoder.weights.workspace);
  for (const [b, numbers] of batches.entries()) {
    await states.put(b, await decoder.embed(numbers.map((i) => set.sequences[i])));
  }
  return states;
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
