import { unitCount } from "@lopper/core";
import { hasDimension } from "./dimensions/dimension.ts";
import type { SearchState } from "./state.ts";
import type { RankingLine } from "./journal_lines.ts";

/**
 * What is wrong with a ranking that was recorded; null where nothing is. Each block has all its
 * units once, and those that went already stay behind those that are there: a narrower block is the
 * beginning of its ranking.
 * @param state when the ranking was made.
 */
export function rankingFault(
  { blocks, kept }: SearchState,
  { dimension, units: rankings }: Pick<RankingLine, "dimension" | "units">,
): string | null {
  if (rankings.length !== blocks.length) {
    return `it ranks ${rankings.length} blocks, and the model has ${blocks.length}`;
  }
  for (const [at, ranking] of rankings.entries()) {
    const { id, dimensions } = blocks[at];
    const declared = dimensions.find(({ name }) => name === dimension);
    const all = declared && unitCount(declared);
    const fits = all === undefined
      ? ranking === null
      : ranking !== null && isPermutation(ranking, all);
    if (!fits) return `it does not rank the ${all ?? 0} ${dimension} of block ${id}`;
    const units = kept[at]?.[dimension];
    if (ranking === null || !units) continue;
    const there = new Set(units);
    const back = ranking.slice(0, units.length).find((unit) => !there.has(unit));
    if (back !== undefined) {
      return `it counts number ${back} of the ${dimension} of block ${id}, which went before`;
    }
  }
  return null;
}

function isPermutation(ranking: readonly number[], count: number): boolean {
  return ranking.length === count && new Set(ranking).size === count &&
    ranking.every((unit) => unit >= 0 && unit < count);
}

/**
 * The state under a new ranking of one dimension; units of blocks that lack it stay as they are.
 */
export function rankedState(
  state: SearchState,
  { dimension, units }: Pick<RankingLine, "dimension" | "units">,
): SearchState {
  const ranking = state.ranking.map((all, at) =>
    hasDimension(state.blocks[at], dimension) ? { ...all, [dimension]: units[at]! } : all
  );
  return { ...state, ranking };
}
