import type { Block, BlockSize, Resource } from "@lopper/core";

/**
 * The same resource, quick for shapes that share sizes of blocks: every candidate of every step
 * asks for all of them, and a rehearsal of a search on a large model for some ten thousand
 * candidates.
 */
export function quickResource(resource: Resource, blocks: readonly Block[]): Resource {
  const rest = resource.amount(blocks.map(() => null));
  const known = blocks.map(() => new WeakMap<BlockSize, number>());
  const block = (at: number, size: BlockSize): number => {
    const amount = known[at].get(size) ?? resource.block(at, size);
    known[at].set(size, amount);
    return amount;
  };
  return {
    ...resource,
    amount: (shape) => shape.reduce((sum, size, at) => size ? sum + block(at, size) : sum, rest),
  };
}
