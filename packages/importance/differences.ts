import type { BlockSize, Shape } from "@lopper/core";

/**
 * The first block in which two shapes of one model differ; the number of blocks when they are the
 * same.
 */
export function firstDifference(a: Shape, b: Shape): number {
  const found = a.findIndex((size, block) => differs(size, b[block]));
  return found < 0 ? a.length : found;
}

/** Whether two shapes of one model are the same. */
export function isSameShape(a: Shape, b: Shape): boolean {
  return firstDifference(a, b) === a.length;
}

/** The last such block; −1 when they are the same. */
export function lastDifference(a: Shape, b: Shape): number {
  return a.findLastIndex((size, block) => differs(size, b[block]));
}

function differs(a: BlockSize | null, b: BlockSize | null): boolean {
  if (a === b) return false;
  return !a || !b || Object.keys(a).some((dimension) => a[dimension] !== b[dimension]);
}
