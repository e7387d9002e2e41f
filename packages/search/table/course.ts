import type { Shape } from "@lopper/core";
import type { Removal, Removals } from "./removals.ts";

/**
 * The shapes that removals in their order come to, each a part of the one before, until one saves
 * `bound` per cent. What would go further beyond the bound than a group could is left out as long
 * as groups of what is left reach it.
 * @param savedBy per cent of the resource that a shape saves.
 */
export function courseOf(
  start: Shape,
  { all, narrowing }: Removals,
  savedBy: (shape: Shape) => number,
  bound: number,
): readonly Shape[] {
  const course: Shape[] = [];
  const before = savedBy(start);
  const group = narrowing.map(({ at, left }) => savedBy(start.with(at, left)) - before);
  // Sums of per cents that are equal differ by rounding.
  const most = bound + Math.min(...group) + 1e-9;
  let shape = start;
  const isReached = () => savedBy(shape) >= bound;
  const take = (removals: readonly Removal[], most: number) => {
    const stays = new Set<number>();
    for (const { at, left } of removals) {
      if (isReached()) return;
      if (stays.has(at) || !isPartOf(left, shape[at])) continue;
      const next = shape.with(at, left);
      if (savedBy(next) <= most) course.push(shape = next);
      else stays.add(at);
    }
  };
  take(all, most);
  take(narrowing, most);
  take(all, Infinity);
  return course;
}

/** Whether a block of one size comes of one of another by losing something. */
function isPartOf(left: Shape[number], now: Shape[number]): boolean {
  if (!now || !left) return now !== null;
  return Object.keys(now).some((dimension) => left[dimension] < now[dimension]);
}
