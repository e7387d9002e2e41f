import {
  blockIndex,
  type BlockRef,
  type LayerSpec,
  type ModelSpec,
  pruningRatio,
} from "@lopper/core";
import { type Candidate, layersAfter, nameOf } from "../candidate.ts";

/** Something that comes back, and what goes for it. */
export interface SwapPair {
  readonly restored: Candidate;
  /** Null where the target is reached without. */
  readonly removed: Candidate | null;
  /** Published pruning ratio after both, in per cent. */
  readonly ratio: number;
  /** Both as one change, to be scored. */
  readonly both: Candidate;
}

/**
 * The swaps that leave at least the target. They go on as the search does: where the target is missed when something came
 * back, one more step is taken, so that a swap overshoots by less than what goes in it; where it is not missed, nothing
 * goes. Both halves are in blocks of their own.
 * @param target pruning ratio in per cent.
 */
export function swapPairs(
  spec: ModelSpec,
  target: number,
  restorations: readonly Candidate[],
  removals: readonly Candidate[],
): readonly SwapPair[] {
  return restorations.flatMap((restored): SwapPair[] => {
    const alone = pruningRatio(spec, restored.layers);
    if (alone >= target) return [{ restored, removed: null, ratio: alone, both: restored }];
    return removals.flatMap((removed): SwapPair[] => {
      if (blockIndex(removed) === blockIndex(restored)) return [];
      const layers = layersAfter(spec, restored.layers, nameOf(removed));
      const ratio = pruningRatio(spec, layers);
      if (ratio < target) return [];
      // A candidate is scored from the first block on that it changes.
      const first = blockIndex(removed) < blockIndex(restored) ? removed : restored;
      return [{ restored, removed, ratio, both: { ...first, layers } }];
    });
  });
}

/** For each block the shape that it has, or had when it went. */
export function lastShapes(
  layers: readonly LayerSpec[],
  before: readonly LayerSpec[],
): readonly LayerSpec[] {
  return layers.map(({ attention, mlp }, i) => ({
    attention: attention ?? before[i].attention,
    mlp: mlp ?? before[i].mlp,
  }));
}

/** Removed blocks in the order of removal, after a swap: what came back is not among them, and what went is the last. */
export function removalsAfter(
  order: readonly BlockRef[],
  restored: BlockRef,
  removed: (BlockRef & { readonly width: number }) | null,
): readonly BlockRef[] {
  const others = order.filter((ref) => blockIndex(ref) !== blockIndex(restored));
  if (removed?.width !== 0) return others;
  return [...others, { layer: removed.layer, kind: removed.kind }];
}
