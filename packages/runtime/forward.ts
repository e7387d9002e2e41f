import { blockAt, type LayerSpec } from "@lopper/core";
import type { Decoder } from "./decoder.ts";
import type { Sight, Stream } from "./stream.ts";

/** Blocks of a model with `layers` layers; their inputs are numbered 0 … blockCount, the last being the head's. */
export function blockCount(layers: readonly LayerSpec[]): number {
  return 2 * layers.length;
}

/**
 * Runs the blocks from `first` on and returns what the head reads. With `keep`, the input of every block that ran, and
 * of the head, is stored there under its number. With `sightIn`, tokens see what it says of a layer.
 */
export async function forwardFrom(
  decoder: Decoder,
  layers: readonly LayerSpec[],
  first: number,
  input: Stream,
  keep?: Map<number, Stream>,
  sightIn?: (layer: number) => Sight,
): Promise<Stream> {
  let stream = input;
  const count = blockCount(layers);
  for (let block = first; block < count; block++) {
    keep?.set(block, stream);
    stream = await decoder.runBlock(block, layers, stream, sightIn?.(blockAt(block).layer));
  }
  keep?.set(count, stream);
  return stream;
}

/** Logits `[batch, length, vocabSize]` of equally long sequences. */
export async function sequenceLogits(
  decoder: Decoder,
  sequences: readonly (readonly number[])[],
  layers: readonly LayerSpec[] = decoder.spec.layers,
): Promise<Float32Array> {
  const stream = await forwardFrom(decoder, layers, 0, await decoder.embed(sequences));
  return await decoder.logits(stream.data);
}
