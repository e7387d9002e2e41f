/**
 * For each unit of `after` its place in `before`. @throws {RangeError} when they are not the same
 * units.
 */
export function placesOf(
  before: readonly number[],
  after: readonly number[],
  what: string,
): number[] {
  const place = new Map(before.map((unit, i) => [unit, i]));
  const places = after.flatMap((unit) => place.get(unit) ?? []);
  if (after.length === before.length && new Set(places).size === before.length) return places;
  throw new RangeError(`the ranking of the ${what} does not have the ${before.length} units there`);
}
