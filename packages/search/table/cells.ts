import { goneOf, narrowed } from "../candidates.ts";
import { dimensionsOf } from "../check_policy.ts";
import { hasDimension, unitsOfGroup } from "../dimensions/dimension.ts";
import type { PolicyOptions } from "../policy.ts";
import { type Proposal, proposalOf } from "../proposal.ts";
import type { SearchModel } from "../search_model.ts";
import type { SearchState } from "../state.ts";

/**
 * What a table of single changes has of a state, block after block: each without 1, 2, 4, 8 …
 * groups of its units, and without all of it. Of blocks with several dimensions the first is
 * narrowed.
 */
export function tableCells(
  model: SearchModel,
  options: PolicyOptions,
  state: SearchState,
): readonly Proposal[] {
  const dimensions = dimensionsOf(model, options);
  return state.blocks.flatMap((block, at): readonly Proposal[] => {
    const size = state.shape[at];
    if (!size) return [];
    const cells: Proposal[] = [];
    const dimension = dimensions.find(({ name }) => hasDimension(block, name));
    if (dimension) {
      const { name, least } = dimension;
      const group = unitsOfGroup(block, name, options.groups);
      const fewest = least?.(block) ?? 1;
      for (let gone = group; size[name] - gone >= fewest; gone *= 2) {
        cells.push(proposalOf(state, [narrowed(state, at, name, size[name] - gone)]));
      }
    }
    return [...cells, proposalOf(state, [goneOf(block)])];
  });
}
