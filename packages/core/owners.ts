import type { UnitAxis } from "./axis.ts";
import { type Block, type DeclaredWeight, type Dimension, unitIndices } from "./block.ts";

/** How many numbers units of a dimension have. */
export function unitCount({ units, owners = 1 }: Pick<Dimension, "units" | "owners">): number {
  return units * owners;
}

/** How many owners the units of a dimension have; 1 where they belong to the block alone. */
export function ownersOf({ dimensions }: Pick<Block, "dimensions">, dimension: string): number {
  return dimensions.find(({ name }) => name === dimension)?.owners ?? 1;
}

/** The axis of a stacked weight along which lie what its units own, behind their own one. */
export function ownedAxis(
  { axes, stacked }: DeclaredWeight,
): (UnitAxis & { readonly at: number }) | undefined {
  const at = stacked ? axes.findIndex((axis, i) => i > 0 && typeof axis !== "number") : -1;
  return at < 0 ? undefined : { ...axes[at] as UnitAxis, at };
}

/** The places along an axis of a block that belong to these units, in their order. */
export function placesAlong(
  { dimensions }: Pick<Block, "dimensions">,
  axis: UnitAxis,
  units: readonly number[],
): Uint32Array {
  if (axis.from === undefined) return unitIndices(axis, units);
  const each = dimensions.find(({ name }) => name === axis.dimension)!.units;
  const first = axis.from * each, count = axis.width * each;
  return Uint32Array.from(
    units.filter((unit) => unit >= first && unit < first + count),
    (unit) => unit - first,
  );
}

/**
 * What each owner keeps of the units of a dimension, by their places with it; undefined where that
 * is all, or units have no owners.
 * @param kept of the block, by dimension.
 */
export function keptByOwner(
  { dimensions }: Pick<Block, "dimensions">,
  kept: Readonly<Record<string, readonly number[]>>,
): readonly (readonly number[])[] | undefined {
  const owned = dimensions.find(({ owners }) => owners !== undefined);
  const stay = owned && kept[owned.name];
  if (!stay || stay.length === unitCount(owned)) return undefined;
  const places = Array.from({ length: owned.owners! }, (): number[] => []);
  for (const unit of stay) places[Math.floor(unit / owned.units)].push(unit % owned.units);
  return places;
}
