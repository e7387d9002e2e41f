import type { Block, BlockSize, Resource, Shape } from "@lopper/core";

/**
 * The same resource, quick for shapes that differ in few blocks: every candidate of every step asks for all of them, and a
 * rehearsal of a search on a large model for some ten thousand candidates.
 */
export function quickResource(resource: Resource, blocks: readonly Block[]): Resource {
  const rest = resource.amount(blocks.map(() => null));
  let sizes: Shape = [];
  let amounts: number[] = [];
  return {
    ...resource,
    amount: (shape) => {
      if (shape.length !== sizes.length) amounts = [];
      let sum = rest;
      for (let at = 0; at < shape.length; at++) {
        const size: BlockSize | null = shape[at];
        if (size !== sizes[at] || amounts.length <= at) {
          amounts[at] = size ? resource.block(at, size) : 0;
        }
        sum += amounts[at];
      }
      sizes = shape;
      return sum;
    },
  };
}
