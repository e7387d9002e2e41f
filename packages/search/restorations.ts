import {
  type Candidate,
  type KeptByBlock,
  type KeptUnits,
  ownersOf,
  unitCount,
} from "@lopper/core";
import { byKind } from "./candidates.ts";
import { unitsOfGroup } from "./dimensions/dimension.ts";
import { isAlike } from "./dimensions/list.ts";
import type { PolicyOptions } from "./policy.ts";
import { type Proposal, proposalOf } from "./proposal.ts";
import { mostImportantGone } from "./ranked_units.ts";
import type { SearchState } from "./state.ts";

/**
 * What of a model that was pruned may come back: a removed block with the units that it had when it
 * went, and one group of a block that has less than in the checkpoint, unless layers stay alike in
 * that.
 * @param last what each block keeps, or kept when it went.
 */
export function restorations(
  state: SearchState,
  last: KeptByBlock,
  { groups, byLayer = false }: Pick<PolicyOptions, "groups" | "byLayer">,
): readonly Proposal[] {
  const { blocks, kept } = state;
  return byKind(blocks).flatMap((at) => {
    const units = kept[at];
    if (!units) return last[at] ? [proposalOf(state, wholeAgain(state, at, last[at]))] : [];
    return blocks[at].dimensions.flatMap((dimension) => {
      const { name } = dimension;
      const group = unitsOfGroup(blocks[at], name, groups);
      if (units[name].length === unitCount(dimension) || !(group > 0)) return [];
      if (!byLayer && isAlike(blocks[at], name)) return [];
      return [proposalOf(state, [groupAgain(state, at, name, group * ownersOf(blocks[at], name))])];
    });
  });
}

/**
 * A block comes back with all units of its further dimensions, of which those go that it had not.
 */
function wholeAgain({ blocks }: SearchState, at: number, last: KeptUnits): Candidate {
  const { id: part, dimensions: [first, ...others] } = blocks[at];
  const rest = others.flatMap((dimension) => {
    const { name } = dimension;
    const had = new Set(last[name]);
    const removed = Array.from({ length: unitCount(dimension) }, (_, u) => u)
      .filter((u) => !had.has(u));
    return removed.length > 0 ? [{ part, dimension: name, removed }] : [];
  });
  return [{ part, dimension: first.name, removed: [], restored: last[first.name] }, ...rest];
}

function groupAgain(
  { blocks, kept, ranking }: SearchState,
  at: number,
  dimension: string,
  count: number,
): Candidate[number] {
  const restored = mostImportantGone(kept[at]![dimension], ranking[at]![dimension], count);
  return { part: blocks[at].id, dimension, removed: [], restored };
}
