import { type Block, isSameKind, mainUnits, sizeOf, type TimedKind, timedKind } from "@lopper/core";
import type { TimedSizes } from "@lopper/runtime";
import { type GroupSizes, unitsOfGroup } from "./dimensions/dimension.ts";

/** Of more sizes than that, so many are timed, and the others lie on lines between them. */
const MAX_SIZES = 8;

/**
 * Sizes that blocks can come to have in a search, dense ones included, by what they are timed with:
 * all of them where they are few, else some from the smallest to the largest, evenly spaced.
 */
export function reachableSizes(
  blocks: readonly Block[],
  groups: GroupSizes,
): readonly TimedSizes[] {
  const kinds: { kind: TimedKind; blocks: Block[] }[] = [];
  for (const block of blocks) {
    const kind = timedKind(block);
    const known = kinds.find((other) => isSameKind(other.kind, kind));
    if (known) known.blocks.push(block);
    else kinds.push({ kind, blocks: [block] });
  }
  return kinds.map(({ kind, blocks }) => ({
    ...kind,
    sizes: some(blocks.flatMap((block) => {
      const { dimension } = mainUnits(block);
      return down(sizeOf(block)[dimension], unitsOfGroup(block, dimension, groups));
    })),
  }));
}

/** `from`, and what is left above 0 as groups go. */
function down(from: number, group: number): number[] {
  const sizes = [];
  for (let size = from; size > 0; size -= group) sizes.push(size);
  return sizes;
}

function some(values: readonly number[]): readonly number[] {
  const all = ascending(values);
  if (all.length <= MAX_SIZES) return all;
  const step = (all.length - 1) / (MAX_SIZES - 1);
  return Array.from({ length: MAX_SIZES }, (_, i) => all[Math.round(i * step)]);
}

function ascending(values: readonly number[]): readonly number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}
