import { type Proposal, proposalOf } from "../proposal.ts";
import { savedBy } from "../saved.ts";
import type { SearchModel } from "../search_model.ts";
import type { SearchState } from "../state.ts";

/** Something that comes back, and what goes for it. */
export interface SwapPair {
  readonly restored: Proposal;
  /** Null where the target is reached without. */
  readonly removed: Proposal | null;
  /** Published pruning ratio after both, in per cent. */
  readonly ratio: number;
  /** Both as one change, to be scored. */
  readonly both: Proposal;
}

/**
 * The swaps of a state that leave at least the target. They go on as the search does: where the
 * target is missed when something came back, one more step is taken, so that a swap overshoots by
 * less than what goes in it; where it is not missed, nothing goes. Both halves are in blocks of
 * their own.
 * @param target pruning ratio in per cent.
 */
export function swapPairs(
  { blocks, parameters }: SearchModel,
  target: number,
  state: SearchState,
  restorations: readonly Proposal[],
  removals: readonly Proposal[],
): readonly SwapPair[] {
  return restorations.flatMap((restored): SwapPair[] => {
    const alone = savedBy(parameters, blocks, restored.shape);
    if (alone >= target) return [{ restored, removed: null, ratio: alone, both: restored }];
    const parts = new Set(restored.changes.map(({ part }) => part));
    return removals.flatMap((removed): SwapPair[] => {
      if (removed.changes.some(({ part }) => parts.has(part))) return [];
      const both = proposalOf(state, [...restored.changes, ...removed.changes]);
      const ratio = savedBy(parameters, blocks, both.shape);
      return ratio < target ? [] : [{ restored, removed, ratio, both }];
    });
  });
}
