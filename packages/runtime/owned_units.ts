import type { Block, BlockSize } from "@lopper/core";

/** The last answers for a ranking: every expert that tokens go to asks again. */
const KNOWN = new WeakMap<readonly number[], Map<number, readonly Uint32Array[]>>();

/**
 * What each owner keeps of a dimension of a block in a size: its first units in the ranking, by
 * their places with the owner, ascending as they are written. Null where all of them are there, or
 * the block has no such dimension.
 */
export function ownedUnits(
  { dimensions }: Pick<Block, "dimensions">,
  size: BlockSize,
  ranking: Readonly<Record<string, readonly number[]>>,
): readonly Uint32Array[] | null {
  const owned = dimensions.find(({ owners }) => owners !== undefined);
  if (!owned || size[owned.name] === owned.units) return null;
  const ranked = ranking[owned.name], left = size[owned.name];
  const known = KNOWN.get(ranked) ?? new Map<number, readonly Uint32Array[]>();
  KNOWN.set(ranked, known);
  const found = known.get(left) ?? firstOfEach(ranked, owned.units, owned.owners!, left);
  known.set(left, found);
  return found;
}

function firstOfEach(
  ranked: readonly number[],
  units: number,
  owners: number,
  left: number,
): readonly Uint32Array[] {
  const own = Array.from({ length: owners }, (): number[] => []);
  for (const unit of ranked) {
    const those = own[Math.floor(unit / units)];
    if (those.length < left) those.push(unit % units);
  }
  return own.map((those) => Uint32Array.from(those).sort());
}
