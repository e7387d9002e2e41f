import { denseShape } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import { batchNumbers } from "./batches.ts";
import type { Sequences } from "./calibration.ts";
import type { PassOptions } from "./seen_activations.ts";

/**
 * How many tokens of a text go to each expert while nothing of the model is gone: by the numbers of
 * blocks, and the experts of each as the checkpoint has them. A token counts once for each expert
 * that it goes to. One pass, which ends behind the last mixture.
 */
export async function routedTokens(
  decoder: Decoder,
  set: Sequences,
  options: PassOptions = {},
): Promise<ReadonlyMap<number, Float64Array>> {
  const { blocks, weights } = decoder;
  const shape = denseShape(blocks);
  const end = blocks.findLastIndex(({ routing }) => routing) + 1;
  const routed = new Map<number, Float64Array>();
  let tokens = 0;
  for (const numbers of batchNumbers(set, options)) {
    let hidden = await decoder.embed(numbers.map((i) => set.sequences[i]));
    for (const [number, { routing, dimensions }] of blocks.slice(0, end).entries()) {
      if (!routing) {
        hidden = await decoder.runBlock(number, shape, hidden);
        continue;
      }
      const [{ name, units }] = dimensions;
      const run = await decoder.captureExperts(number, shape, hidden);
      const lying = weights.ranking[number]![name];
      const counts = routed.get(number) ?? new Float64Array(units);
      run.experts.tokens.forEach((count, place) => counts[lying[place]] += count);
      routed.set(number, counts);
      hidden = run.hidden;
    }
    tokens += numbers.length * set.length;
    options.onProgress?.(tokens);
  }
  return routed;
}
