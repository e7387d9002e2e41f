/**
 * The last answer for each list of units: candidates ask again at every step, and one block changes
 * between them.
 */
const KNOWN = new WeakMap<readonly number[], {
  readonly ranking: readonly number[];
  readonly ranked: readonly number[];
  readonly tails: Map<number, readonly number[]>;
}>();

function known(kept: readonly number[], ranking: readonly number[]) {
  const found = KNOWN.get(kept);
  if (found?.ranking === ranking) return found;
  const there = new Set(kept);
  const ranked = ranking.filter((unit) => there.has(unit));
  const made = { ranking, ranked, tails: new Map<number, readonly number[]>() };
  KNOWN.set(kept, made);
  return made;
}

/** Of the units that are there, so many that are the least important; ascending. */
export function leastImportant(
  kept: readonly number[],
  ranking: readonly number[],
  count: number,
): readonly number[] {
  const { ranked, tails } = known(kept, ranking);
  const tail = tails.get(count) ?? ascending(ranked.slice(ranked.length - count));
  tails.set(count, tail);
  return tail;
}

/** Of the units that went, so many that are the most important, or all of them; ascending. */
export function mostImportantGone(
  kept: readonly number[],
  ranking: readonly number[],
  count: number,
): readonly number[] {
  const there = new Set(kept);
  return ascending(ranking.filter((unit) => !there.has(unit)).slice(0, count));
}

function ascending(units: readonly number[]): readonly number[] {
  return units.toSorted((a, b) => a - b);
}
