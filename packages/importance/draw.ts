import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/**
 * The numbers of `count` of `n` samples drawn without replacement, ascending; of all when there are
 * no more.
 */
export function drawNumbers(n: number, count: number, seed: number): readonly number[] {
  if (n <= count) return Array.from({ length: n }, (_, i) => i);
  return drawn(n, count, seed).sort((a, b) => a - b);
}

/**
 * At most `count` numbers that `drawNumbers` leaves when it draws `taken` with the same seed,
 * ascending.
 */
export function furtherNumbers(
  n: number,
  taken: number,
  count: number,
  seed: number,
): readonly number[] {
  if (n <= taken) return [];
  const both = drawn(n, Math.min(n, taken + count), seed);
  return both.slice(taken).sort((a, b) => a - b);
}

/** The numbers below `n` in an order that a seed decides. */
export function shuffled(n: number, seed: number): readonly number[] {
  return drawn(n, n, seed);
}

/**
 * `count` of the numbers below `n`, drawn without replacement (Fisher and Yates), in memory for
 * `count` of them.
 */
function drawn(n: number, count: number, seed: number): number[] {
  const random = xoroshiro128plus(seed);
  // What the list of all numbers would hold after the swaps, where it is not the number of the
  // place itself.
  const moved = new Map<number, number>();
  return Array.from({ length: count }, (_, i) => {
    const j = uniformInt(random, i, n - 1);
    const taken = moved.get(j) ?? j;
    moved.set(j, moved.get(i) ?? i);
    moved.delete(i);
    return taken;
  });
}
