import type { GraphBuilder } from "../graph_builder.ts";

/**
 * Added to the scores of tokens that a query does not see; finite, since shading languages need not
 * know infinities, and since a query that sees no token at all (padding) gets numbers then.
 */
export const MASKED = -1e30;

/** Sizes as values of a graph, int64 [1]. */
export interface AttentionSizes {
  readonly batch: string;
  /** Tokens whose queries there are, T. */
  readonly length: string;
  /** Tokens whose keys there are, S; the queries are those of the last T. */
  readonly total: string;
}

/** Sizes of the axes of a mask. */
export type MaskSizes = Omit<AttentionSizes, "batch">;

/**
 * What hides later tokens from the queries of the last T of S tokens, and with a window all but so
 * many of the last: `[T, S]`.
 */
export function causalMask(
  g: GraphBuilder,
  { length, total }: MaskSizes,
  window: number | null,
): string {
  const sizes = g.node("Concat", [length, total], { axis: 0 });
  const everywhere = g.node("Expand", [g.float32(MASKED), sizes]);
  const earlier = g.node("Sub", [total, length]);
  const firstLater = g.node("Add", [earlier, g.int64([1])]);
  const later = g.node("Trilu", [everywhere, firstLater], { upper: 1 });
  if (window === null) return later;
  const lastTooFar = g.node("Sub", [earlier, g.int64([window])]);
  return g.node("Add", [later, g.node("Trilu", [everywhere, lastTooFar], { upper: 0 })]);
}

/** How far keys lie behind the queries of the last T of S tokens, 0 or less: float32 `[T, S]`. */
export function tokenDistances(g: GraphBuilder, sizes: MaskSizes): string {
  const { queries, keys } = places(g, sizes);
  return g.cast(g.node("Sub", [keys, queries]), "float32");
}

/** The same of tokens at any positions, int64 `[B, T]`: float32 `[B, 1, T, T]`. */
export function distancesOfPositions(g: GraphBuilder, positions: string): string {
  const queries = g.node("Unsqueeze", [positions, g.int64([1, 3])]);
  const keys = g.node("Unsqueeze", [positions, g.int64([1, 2])]);
  return g.cast(g.node("Sub", [keys, queries]), "float32");
}

/** Numbers of the tokens whose queries and keys there are, int64 `[T, 1]` and `[1, S]`. */
function places(g: GraphBuilder, { length, total }: MaskSizes) {
  const [zero, one] = [g.int64([0]), g.int64([1])];
  const scalar = (x: string) => g.node("Squeeze", [x, zero]);
  const range = (from: string, to: string) =>
    g.node("Range", [scalar(from), scalar(to), scalar(one)]);
  return {
    queries: g.node("Unsqueeze", [range(g.node("Sub", [total, length]), total), one]),
    keys: g.node("Unsqueeze", [range(zero, total), zero]),
  };
}

/**
 * What hides tokens in a padded batch: `[B, 1, T, S]`. A query sees those tokens among itself and
 * the ones before it that `attended` (int64 `[B, S]`) counts with 1; with a window, only so many of
 * the last.
 */
export function paddedMask(
  g: GraphBuilder,
  attended: string,
  sizes: MaskSizes,
  window: number | null,
): string {
  const { queries, keys } = places(g, sizes);
  let hidden = g.node("Greater", [keys, queries]);
  if (window !== null) {
    const tooFar = g.node("Sub", [queries, g.int64([window])]);
    hidden = g.node("Or", [hidden, g.node("LessOrEqual", [keys, tooFar])]);
  }
  const padding = g.node("Unsqueeze", [g.node("Equal", [attended, g.int64([0])]), g.int64([1, 2])]);
  hidden = g.node("Or", [hidden, padding]);
  return g.node("Where", [hidden, g.float32(MASKED), g.float32(0)]);
}
