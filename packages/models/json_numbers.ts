/** Whether JSON has a number there. */
export function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

/**
 * A number of JSON, and NaN of everything else: `Number` has an object convert itself, which throws
 * where that has keys of such names.
 */
export function numberOf(value: unknown): number {
  return isNumber(value) ? value : NaN;
}
