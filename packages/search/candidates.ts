import { type Block, type Candidate, type Change, ownersOf } from "@lopper/core";
import { hasDimension, type SearchDimension, unitsOfGroup } from "./dimensions/dimension.ts";
import type { PolicyOptions } from "./policy.ts";
import { type Proposal, proposalOf } from "./proposal.ts";
import { leastImportant } from "./ranked_units.ts";
import type { SearchState } from "./state.ts";

/**
 * Every block that is there: as published those of one kind after those of the other, each in layer
 * order.
 */
export function blockCandidates(state: SearchState): readonly Proposal[] {
  return byKind(state.blocks).flatMap((at) =>
    state.shape[at] ? [proposalOf(state, [goneOf(state.blocks[at])])] : []
  );
}

/** The places of the blocks, kind after kind, those first that are attended, in layer order. */
export function byKind(blocks: readonly Block[]): readonly number[] {
  const first = blocks.filter(({ attention }) => attention);
  const kinds = new Set([...first, ...blocks].map(({ kind }) => kind));
  return [...kinds].flatMap((kind) => [...blocks.keys()].filter((at) => blocks[at].kind === kind));
}

/**
 * Each block that is there and keeps units of the dimension after losing a group of its least
 * important ones; those at once that stay alike in it, as long as all of them can.
 */
export function groupCandidates(
  state: SearchState,
  { name, least, alike }: Pick<SearchDimension, "name" | "least" | "alike">,
  { groups, byLayer = false }: Pick<PolicyOptions, "groups" | "byLayer">,
): readonly Proposal[] {
  const places = placesWith(state, name);
  const together = byLayer ? [] : places.filter((at) => alike?.(state.blocks[at]));
  const changeOf = (at: number): readonly Change[] => {
    const block = state.blocks[at];
    const left = state.shape[at]![name] - unitsOfGroup(block, name, groups);
    return left >= (least?.(block) ?? 1) ? [narrowed(state, at, name, left)] : [];
  };
  const changes = together.flatMap(changeOf);
  return [
    ...(changes.length > 0 && changes.length === together.length
      ? [proposalOf(state, changes)]
      : []),
    ...places.filter((at) => !together.includes(at)).flatMap(changeOf)
      .map((change) => proposalOf(state, [change])),
  ];
}

/** Every layer that has its blocks, as long as another one has. */
export function layerCandidates(state: SearchState): readonly Proposal[] {
  const layers = Map.groupBy(state.blocks.keys(), (at) => state.blocks[at].layer);
  const present = [...layers.values()].filter((places) => places.every((at) => state.shape[at]));
  return present.length < 2
    ? []
    : present.map((places) => proposalOf(state, places.map((at) => goneOf(state.blocks[at]))));
}

/** All blocks that have a dimension cut to so many units of it; those that are there are alike. */
export function everywhere(state: SearchState, dimension: string, left: number): Proposal {
  const places = placesWith(state, dimension);
  return proposalOf(state, places.map((at) => narrowed(state, at, dimension, left)));
}

/** The places of blocks that are there and have a dimension. */
export function placesWith({ blocks, shape }: SearchState, dimension: string): readonly number[] {
  return [...blocks.keys()].filter((at) => shape[at] && hasDimension(blocks[at], dimension));
}

/** A block that is there loses the least important units of a dimension, but for so many. */
export function narrowed(
  { blocks, kept, ranking }: SearchState,
  at: number,
  dimension: string,
  left: number,
): Change {
  const units = kept[at]![dimension];
  return {
    part: blocks[at].id,
    dimension,
    removed: leastImportant(
      units,
      ranking[at]![dimension],
      units.length - left * ownersOf(blocks[at], dimension),
    ),
  };
}

export function goneOf({ id }: Block): Candidate[number] {
  return { part: id, dimension: null, removed: [] };
}
