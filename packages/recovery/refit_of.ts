import type { Shape } from "@lopper/core";
import type { Refit } from "@lopper/models";
import type { Decoder } from "@lopper/runtime";

/**
 * What is written of refitted blocks: what the decoder's weights hold when it is asked for.
 * @param shape what the plan leaves.
 * @param refitted the numbers of the blocks.
 */
export function refitOf(decoder: Decoder, shape: Shape, refitted: readonly number[]): Refit {
  return {
    has: (block) => refitted.includes(block),
    async valuesOf(block) {
      const size = shape[block]!;
      return decoder.blocks[block].routing
        ? decoder.weights.expertScales(block, size)
        : (await decoder.weights.output(block, size)).data;
    },
  };
}
