import type { Candidate, Change, KeptByBlock, PrunePlan, Ranking, Shape } from "@lopper/core";
import type { UnitRanking } from "@lopper/runtime";
import { narrowed } from "./candidates.ts";
import type { SearchState } from "./state.ts";

/** What leads from a state to smaller blocks: whole ones go, and of the others the least important units. */
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

/**
 * A ranking under which the units that `plan` keeps come first, so that the plan can be run as a prefix of every block.
 */
export function rankingOfPlan(plan: PrunePlan, ranking: UnitRanking): UnitRanking {
  const first = (units: readonly number[] | null, kept: readonly number[]) => {
    const set = new Set(kept);
    return units && [...kept, ...units.filter((unit) => !set.has(unit))];
  };
  return {
    layers: plan.layers.map(({ attention, mlp }, i) => ({
      kvGroups: attention === "removed"
        ? ranking.layers[i].kvGroups
        : first(ranking.layers[i].kvGroups, attention.kvGroups),
      channels: mlp === "removed"
        ? ranking.layers[i].channels
        : first(ranking.layers[i].channels, mlp.channels),
    })),
  };
}
