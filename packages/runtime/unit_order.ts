import { blocksOf, type ModelSpec, type Ranking } from "@lopper/core";

/** For each layer the KV groups and the channels, most important first: a permutation of all of them. */
export interface UnitOrder {
  readonly layers: readonly {
    readonly kvGroups: readonly number[] | null;
    readonly channels: readonly number[] | null;
  }[];
}

/** The order of the checkpoint itself. */
export function sourceOrder(spec: ModelSpec): UnitOrder {
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  return {
    layers: spec.layers.map(({ attention, mlp }) => ({
      kvGroups: attention && range(attention.kvHeads),
      channels: mlp && range(mlp.intermediateSize),
    })),
  };
}

/** The same by blocks. */
export function rankingOf(spec: ModelSpec, { layers }: UnitOrder): Ranking {
  return blocksOf(spec).map(({ layer, dimensions }) =>
    Object.fromEntries(
      dimensions.map(({ name }) => [name, layers[layer]?.[name as "kvGroups" | "channels"] ?? []]),
    )
  );
}

/**
 * The same with the units of one dimension in another order.
 * @param units of each block; where there are none, they stay as they are.
 */
export function withUnits(
  spec: ModelSpec,
  { layers }: UnitOrder,
  dimension: string,
  units: readonly (readonly number[] | null)[],
): UnitOrder {
  const moved = [...layers];
  for (const [number, { layer }] of blocksOf(spec).entries()) {
    if (units[number]) moved[layer] = { ...moved[layer], [dimension]: units[number] };
  }
  return { layers: moved };
}

/** For each unit of `after` its place in `before`. @throws {RangeError} when they are not the same units. */
export function placesOf(
  before: readonly number[],
  after: readonly number[],
  what: string,
): number[] {
  const place = new Map(before.map((unit, i) => [unit, i]));
  const places = after.flatMap((unit) => place.get(unit) ?? []);
  if (after.length === before.length && new Set(places).size === before.length) return places;
  throw new RangeError(`the order of the ${what} does not have the ${before.length} units there`);
}
