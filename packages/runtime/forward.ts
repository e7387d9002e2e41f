import { denseShape, type Shape } from "@lopper/core";
import type { Decoder } from "./decoder.ts";
import type { AttentionMask, HiddenStates } from "./hidden_states.ts";

/**
 * Runs the blocks from `first` on and returns what the head reads. With `keep`, the input of every
 * block that ran, and of the head, is stored there under its number: the head comes after the last
 * block. With `maskOf`, tokens attend to what it says of a layer.
 */
export async function forwardFrom(
  decoder: Decoder,
  shape: Shape,
  first: number,
  input: HiddenStates,
  keep?: Map<number, HiddenStates>,
  maskOf?: (layer: number) => AttentionMask,
): Promise<HiddenStates> {
  let hidden = input;
  for (let block = first; block < shape.length; block++) {
    keep?.set(block, hidden);
    const { layer } = decoder.blocks[block];
    hidden = await decoder.runBlock(block, shape, hidden, maskOf?.(layer));
  }
  keep?.set(shape.length, hidden);
  return hidden;
}

/** Logits `[batch, length, vocabSize]` of equally long sequences. */
export async function sequenceLogits(
  decoder: Decoder,
  sequences: readonly (readonly number[])[],
  shape: Shape = denseShape(decoder.blocks),
): Promise<Float32Array> {
  const hidden = await forwardFrom(decoder, shape, 0, await decoder.embed(sequences));
  return await decoder.logits(hidden.data);
}
