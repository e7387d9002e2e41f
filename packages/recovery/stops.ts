import { blockAt, type BlockRef, type LayerSpec } from "@lopper/core";
import { blockCount } from "@lopper/runtime";

/** A place on the way through a pruned model: a block, and the removed ones behind it. */
export interface Stop {
  readonly ref: BlockRef;
  readonly block: number;
  /** The block of the next stop. */
  readonly next: number;
  /** Removed blocks behind it that the dense model has. */
  readonly folded: number;
  /** It stays, and something is gone before, in or behind it: there is something that it can make up for. */
  readonly refit: boolean;
}

/** Where a repair stops on its way from the first block to the last. A removed block behind none that stays stands alone. */
export function stopsOf(
  dense: readonly LayerSpec[],
  layers: readonly LayerSpec[],
): readonly Stop[] {
  const count = blockCount(layers);
  const stops: Stop[] = [];
  let apart = false;
  for (let block = 0; block < count;) {
    const ref = blockAt(block);
    const stays = !isGone(layers, block);
    let next = block + 1;
    if (stays) { while (next < count && isGone(layers, next)) next += 1; }
    const folded = Array.from({ length: next - block - 1 }, (_, i) => block + 1 + i)
      .filter((at) => !isGone(dense, at)).length;
    const same = JSON.stringify(dense[ref.layer][ref.kind]) ===
      JSON.stringify(layers[ref.layer][ref.kind]);
    apart ||= !same || folded > 0;
    stops.push({ ref, block, next, folded, refit: stays && apart });
    block = next;
  }
  return stops;
}

function isGone(layers: readonly LayerSpec[], block: number): boolean {
  const { layer, kind } = blockAt(block);
  return layers[layer][kind] === null;
}
