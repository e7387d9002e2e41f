import { type BlockSize, indexOfPart, type Resource } from "@lopper/core";
import { type GroupSizes, unitsOfGroup } from "../dimensions/dimension.ts";
import type { Proposal } from "../proposal.ts";
import type { SearchState } from "../state.ts";

/** A group of a block's units, or what is left of it, that goes next. */
export interface Removal {
  /** The number of the block. */
  readonly at: number;
  /** What is left of it then; null for nothing. */
  readonly left: BlockSize | null;
  /** Nats per token for each unit of the resource that it saves. */
  readonly price: number;
}

/** What may go, in the order of prices: with whole blocks, and group by group alone. */
export interface Removals {
  readonly all: readonly Removal[];
  readonly narrowing: readonly Removal[];
}

/** A block narrowed so far: what that saves, and the nats per token that it adds. */
interface Point {
  readonly left: BlockSize | null;
  readonly saved: number;
  readonly loss: number;
}

/** With whole blocks, and without. */
export function bothRemovals(
  ...[state, cells, losses, by]: Parameters<typeof removalsOf>
): Removals {
  const narrowing = [...cells.keys()].filter((i) => cells[i].changes[0].dimension !== null);
  return {
    all: removalsOf(state, cells, losses, by),
    narrowing: removalsOf(
      state,
      narrowing.map((i) => cells[i]),
      narrowing.map((i) => losses[i]),
      by,
    ),
  };
}

/**
 * The knapsack over a table of single changes, for every target at once. Losses are taken to add
 * up, and between two cells of a block to lie on a line; of every block only the lower convex hull
 * of its losses over what they save counts. Its edges in the order of their slopes are the best
 * plan wherever one of them ends (Sinha and Zoltners 1979, of multiple-choice knapsacks), and each
 * plan goes on from the one before.
 * @param cells changes of one block each.
 * @param losses nats per token that each cell adds.
 */
export function removalsOf(
  state: SearchState,
  cells: readonly Proposal[],
  losses: readonly number[],
  { resource, groups }: { readonly resource: Resource; readonly groups: GroupSizes },
): readonly Removal[] {
  const byBlock = Map.groupBy(
    cells.keys(),
    (cell) => indexOfPart(state.blocks, cells[cell].cuts[0].part),
  );
  return [...byBlock].flatMap(([at, own]) => {
    const whole = state.shape[at]!;
    const amount = resource.block(at, whole);
    const points = own.map((cell): Point => {
      const left = cells[cell].shape[at];
      return {
        left,
        saved: amount - (left ? resource.block(at, left) : 0),
        loss: losses[cell],
      };
    });
    const usable = points.filter(({ saved, loss }) => saved > 0 && Number.isFinite(loss));
    const hull = lowerHull([{ left: whole, saved: 0, loss: 0 }, ...usable]);
    return hull.slice(1).flatMap((to, i) => {
      const price = slope(hull[i], to);
      return inGroups(state, at, hull[i].left!, to.left, groups)
        .map((left): Removal => ({ at, left, price }));
    });
  }).sort((a, b) => a.price - b.price);
}

/** From the first point to the one that saves most, those that no line between others is below. */
function lowerHull(points: readonly Point[]): readonly Point[] {
  const hull: Point[] = [];
  for (const point of points.toSorted((a, b) => a.saved - b.saved || a.loss - b.loss)) {
    if (hull.at(-1)?.saved === point.saved) continue;
    while (hull.length > 1 && slope(hull.at(-2)!, hull.at(-1)!) >= slope(hull.at(-2)!, point)) {
      hull.pop();
    }
    hull.push(point);
  }
  return hull;
}

function slope(from: Point, to: Point): number {
  return (to.loss - from.loss) / (to.saved - from.saved);
}

/** Group by group what is left of a block on the way to a smaller size; a block goes at once. */
function inGroups(
  { blocks }: SearchState,
  at: number,
  from: BlockSize,
  to: BlockSize | null,
  groups: GroupSizes,
): readonly (BlockSize | null)[] {
  const dimension = to && Object.keys(to).find((name) => to[name] < from[name]);
  if (!dimension) return [to];
  const group = unitsOfGroup(blocks[at], dimension, groups);
  const count = Math.round((from[dimension] - to[dimension]) / group);
  return Array.from(
    { length: count },
    (_, i) => ({ ...from, [dimension]: from[dimension] - (i + 1) * group }),
  );
}
