import {
  afterChanges,
  allKept,
  type Block,
  type Candidate,
  type KeptByBlock,
  type Ranking,
  type Shape,
  shapeOfKept,
  sourceRanking,
} from "@lopper/core";

/** What is left of a model at one point of its search. */
export interface SearchState {
  readonly blocks: readonly Block[];
  readonly kept: KeptByBlock;
  /** The ranking that holds now: of what is there, the last units are the least important. */
  readonly ranking: Ranking;
  /** Of what is kept. */
  readonly shape: Shape;
}

/** Before the first step. */
export function denseState(
  blocks: readonly Block[],
  ranking: Ranking = sourceRanking(blocks),
): SearchState {
  const kept = allKept(blocks);
  return { blocks, kept, ranking, shape: shapeOfKept(blocks, kept) };
}

/** After a candidate was taken. Its shape stays the same object, by which scorers know it again. */
export function stateAfter(
  state: SearchState,
  { changes, shape }: { readonly changes: Candidate; readonly shape: Shape },
): SearchState {
  return { ...state, kept: afterChanges(state.blocks, state.kept, changes), shape };
}

/** What each block keeps, or kept when it went. */
export function lastKept({ kept }: SearchState, before: KeptByBlock): KeptByBlock {
  return kept.map((units, i) => units ?? before[i]);
}
