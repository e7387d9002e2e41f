/** The greatest whole number that divides both; `a` where the other is 0. */
export function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

/** The least whole number that all of them divide; 1 of none. */
export function commonMultiple(values: readonly number[]): number {
  return values.reduce((all, value) => all / commonDivisor(all, value) * value, 1);
}
