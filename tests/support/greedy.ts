import { type Decoder, sequenceLogits } from "@lopper/runtime";

/**
 * The most likely next tokens of `ids`, one after the other, each from the whole text anew; none of
 * them ends it.
 */
export async function greedyTokens(
  decoder: Decoder,
  ids: readonly number[],
  count: number,
): Promise<readonly number[]> {
  const text = [...ids];
  for (let i = 0; i < count; i++) {
    const logits = await sequenceLogits(decoder, [text]);
    text.push(argmax(logits.subarray(-decoder.architecture.vocabSize)));
  }
  return text.slice(ids.length);
}

export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
