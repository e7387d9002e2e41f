import { type Block, type BlockSize, type Shape, sizeOf } from "@lopper/core";

/** A place on the way through a pruned model: a block, and the removed ones behind it. */
export interface Stop {
  /** Its number. */
  readonly block: number;
  /** The block of the next stop. */
  readonly next: number;
  /** Removed blocks behind it. */
  readonly folded: number;
  /**
   * It stays, and something is gone before, in or behind it: there is something that it can make up
   * for.
   */
  readonly refit: boolean;
}

/**
 * Where a refit stops on its way from the first block to the last. A removed block behind none
 * that stays stands alone.
 */
export function stopsOf(blocks: readonly Block[], shape: Shape): readonly Stop[] {
  const stops: Stop[] = [];
  let apart = false;
  for (let block = 0; block < shape.length;) {
    const size = shape[block];
    let next = block + 1;
    if (size) { while (next < shape.length && !shape[next]) next += 1; }
    const folded = next - block - 1;
    apart ||= !size || folded > 0 || isNarrower(size, blocks[block]);
    stops.push({ block, next, folded, refit: size !== null && apart });
    block = next;
  }
  return stops;
}

function isNarrower(size: BlockSize, block: Block): boolean {
  return Object.entries(sizeOf(block)).some(([dimension, units]) => size[dimension] !== units);
}
