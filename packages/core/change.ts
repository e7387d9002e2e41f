import { type Block, type BlockSize, type Dimension, indexOfPart, type Shape } from "./block.ts";
import { ownersOf, unitCount } from "./owners.ts";
import { PlanError } from "./errors.ts";

/**
 * What pruning does to one block, in the coordinates of the checkpoint: independent of any ranking,
 * it means the same to every reader. Without a dimension the whole block goes.
 */
export interface Change {
  /** Id of the block. */
  readonly part: string;
  readonly dimension: string | null;
  /** Units that go, ascending; none where the whole block goes. */
  readonly removed: readonly number[];
  /**
   * Units that come back, ascending, as in a swap; into a block that is gone, which then has these.
   */
  readonly restored?: readonly number[];
}

/**
 * What a search may do in one step: narrow a block, take it away, the same to a whole layer or to
 * all, swap. All of it or nothing happens, and no two changes are of the same part and dimension.
 */
export type Candidate = readonly Change[];

/** Units that a block keeps, by dimension: ascending, never none. */
export type KeptUnits = Readonly<Record<string, readonly number[]>>;

/** What the blocks of a model keep, in their order; null where the block is gone. */
export type KeptByBlock = readonly (KeptUnits | null)[];

/** Everything is kept. */
export function allKept(blocks: readonly Pick<Block, "dimensions">[]): KeptByBlock {
  return blocks.map(({ dimensions }) =>
    Object.fromEntries(
      dimensions.map((one) => [one.name, Array.from({ length: unitCount(one) }, (_, i) => i)]),
    )
  );
}

/** How large the blocks are that keep this; of units that have owners, those of each count. */
export function shapeOfKept(blocks: readonly Block[], kept: KeptByBlock): Shape {
  return kept.map((units, number) =>
    units && Object.fromEntries(
      Object.entries(units).map(([dimension, those]) => [
        dimension,
        those.length / ownersOf(blocks[number], dimension),
      ]),
    ) as BlockSize
  );
}

/**
 * What is kept after the changes.
 * @throws {PlanError} when one names what the model does not have, removes what is gone, brings
 *   back what is there, or leaves a block without any unit.
 */
export function afterChanges(
  blocks: readonly Block[],
  kept: KeptByBlock,
  changes: readonly Change[],
): KeptByBlock {
  const after = [...kept];
  for (const change of changes) {
    const at = indexOfPart(blocks, change.part);
    if (at < 0) throw new PlanError(`the model has no block ${change.part}`);
    after[at] = afterChange(blocks[at], after[at], change);
  }
  return after;
}

function afterChange(block: Block, kept: KeptUnits | null, change: Change): KeptUnits | null {
  const { part, dimension, removed, restored = [] } = change;
  if (dimension === null) {
    if (!kept) throw new PlanError(`block ${part} goes twice`);
    if (removed.length > 0 || restored.length > 0) {
      throw new PlanError(`block ${part} goes as a whole, and units of it are named`);
    }
    return null;
  }
  const declared = block.dimensions.find(({ name }) => name === dimension);
  const units = declared && unitCount(declared);
  if (units === undefined) throw new PlanError(`block ${part} has no ${dimension}`);
  if (removed.length + restored.length === 0) {
    throw new PlanError(`a change of block ${part} names no ${dimension}`);
  }
  if (!kept && removed.length > 0) {
    throw new PlanError(`${dimension} of block ${part} go, which is gone`);
  }
  checkAscending(removed, units, `${dimension} of block ${part} that go`);
  checkAscending(restored, units, `${dimension} of block ${part} that come back`);
  const going = new Set(removed);
  const stay = (kept?.[dimension] ?? []).filter((unit) => !going.delete(unit));
  for (const unit of going) throw new PlanError(`${dimension} ${unit} of block ${part} go twice`);
  const there = new Set(restored.length > 0 ? stay : []);
  for (const unit of restored) {
    if (!there.has(unit)) continue;
    throw new PlanError(`${dimension} ${unit} of block ${part} come back, and are there`);
  }
  if (stay.length + restored.length === 0) {
    throw new PlanError(`block ${part} loses all its ${dimension}; the whole block is to go then`);
  }
  const others = kept ?? allKept([block])[0]!;
  // What stays ascends already, and there is much of it.
  const after = restored.length === 0 ? stay : [...stay, ...restored].sort((a, b) => a - b);
  const uneven = unevenGroups(block, dimension, after);
  if (uneven) throw new PlanError(`of the ${dimension} of block ${part}, ${uneven}`);
  return { ...others, [dimension]: after };
}

function checkAscending(units: readonly number[], count: number, what: string) {
  const unit = misplacedUnit(units, count);
  if (unit === undefined) return;
  throw new PlanError(`${unit} is among the ${what}; they must ascend and stay below ${count}`);
}

/**
 * The first of the units that does not ascend, or is none of so many; undefined where all are as
 * they should be.
 */
export function misplacedUnit(units: readonly number[], count: number): number | undefined {
  return units.find((unit, i) =>
    !Number.isInteger(unit) || unit <= (units[i - 1] ?? -1) || unit >= count
  );
}

/**
 * How many units of each group stay, in words, where a dimension has groups and they keep unequally
 * many; undefined where all is as it should be.
 */
export function unevenGroups(
  { dimensions }: Pick<Block, "dimensions">,
  dimension: string,
  kept: readonly number[],
): string | undefined {
  const declared = dimensions.find(({ name }) => name === dimension);
  const groups = declared ? groupCount(declared) : 1;
  if (!declared || groups === 1) return undefined;
  const counts = Array.from({ length: groups }, () => 0);
  for (const unit of kept) counts[groupOf(unit, declared)] += 1;
  if (new Set(counts).size === 1) return undefined;
  const what = declared.owners === undefined ? "groups" : "experts";
  return `${groups} ${what} keep ${shortList(counts)}; they need to keep equally many`;
}

/** Of many numbers, the first ones. */
function shortList(counts: readonly number[]): string {
  return counts.length > 16 ? `${counts.slice(0, 16).join(", ")}, …` : counts.join(", ");
}

type Grouped = Pick<Dimension, "units" | "groups" | "owners">;

/** In how many groups the units of a dimension lie that lose equally many: those of its owners. */
function groupCount({ groups = 1, owners = groups }: Grouped): number {
  return owners;
}

/** The group that a unit of a dimension lies in. */
export function groupOf(unit: number, { units, groups = 1, owners }: Grouped): number {
  return owners === undefined ? Math.floor(unit * groups / units) : Math.floor(unit / units);
}

/** The blocks that are gone, each where the last of the changes took it, in that order. */
export function removalsOf(changes: readonly Change[]): readonly string[] {
  const gone = new Set<string>();
  for (const { part, dimension } of changes) {
    gone.delete(part);
    if (dimension === null) gone.add(part);
  }
  return [...gone];
}

/**
 * Units of a block by dimension, most important first: all that the checkpoint has. Null where no
 * ranking is needed.
 */
export type Ranking = readonly (KeptUnits | null)[];

/** The ranking of the checkpoint itself, in which groups of units take turns. */
export function sourceRanking(blocks: readonly Block[]): Ranking {
  return blocks.map(({ dimensions }) =>
    Object.fromEntries(dimensions.map((dimension) => [
      dimension.name,
      inTurns(Array.from({ length: unitCount(dimension) }, (_, i) => i), dimension),
    ]))
  );
}

/**
 * Units in an order in which their groups take turns, so that each has equally many among the first
 * ones; those of a group stay in their order.
 */
export function inTurns(
  ranked: readonly number[],
  dimension: Grouped,
): readonly number[] {
  const groups = groupCount(dimension);
  if (groups === 1) return ranked;
  const own = Array.from({ length: groups }, (): number[] => []);
  for (const unit of ranked) own[groupOf(unit, dimension)].push(unit);
  return own[0].flatMap((_, turn) => own.map((units) => units[turn]));
}

/**
 * A ranking with the units of one dimension in another order.
 * @param units of each block; where there are none, they stay as they are.
 */
export function withUnits(
  ranking: Ranking,
  dimension: string,
  units: readonly (readonly number[] | null)[],
): Ranking {
  return ranking.map((ranked, number) => {
    const moved = units[number];
    return moved ? { ...ranked, [dimension]: moved } : ranked;
  });
}

/**
 * A ranking in which the units that are kept come first, in their order, so that what is kept is a
 * prefix of every block.
 */
export function keptFirst(kept: KeptByBlock, ranking: Ranking): Ranking {
  return ranking.map((ranked, number) => {
    const units = kept[number];
    if (!ranked || !units) return ranked;
    return Object.fromEntries(
      Object.entries(ranked).map(([dimension, all]) => {
        const first = new Set(units[dimension]);
        return [dimension, [...units[dimension], ...all.filter((unit) => !first.has(unit))]];
      }),
    );
  });
}
