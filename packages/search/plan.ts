import type { Candidate, Change, KeptByBlock, Ranking, Shape } from "@lopper/core";
import { narrowed } from "./candidates.ts";
import type { SearchState } from "./state.ts";

/**
 * What leads from a state to smaller blocks: whole ones go, and of the others the least important
 * units.
 */
export function changesTo(state: SearchState, shape: Shape): Candidate {
  return state.blocks.flatMap((block, at): readonly Change[] => {
    const [now, after] = [state.shape[at], shape[at]];
    if (!now) return [];
    if (!after) return [{ part: block.id, dimension: null, removed: [] }];
    return Object.keys(now).filter((dimension) => after[dimension] < now[dimension])
      .map((dimension) => narrowed(state, at, dimension, after[dimension]));
  });
}

/** Whether what is kept of each block are its most important units by a ranking. */
export function keepsMostImportant(kept: KeptByBlock, ranking: Ranking): boolean {
  return kept.every((units, at) =>
    Object.entries(units ?? {}).every(([dimension, those]) => {
      const first = new Set(ranking[at]![dimension].slice(0, those.length));
      return those.every((unit) => first.has(unit));
    })
  );
}
