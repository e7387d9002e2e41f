import { blocksOf, type ModelSpec, type Ranking } from "@lopper/core";

/** For each layer the KV groups and the channels, most important first: a permutation of all of them. */
export interface UnitRanking {
  readonly layers: readonly {
    readonly kvGroups: readonly number[] | null;
    readonly channels: readonly number[] | null;
  }[];
}

/** The ranking of the checkpoint itself. */
export function sourceUnits(spec: ModelSpec): UnitRanking {
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  return {
    layers: spec.layers.map(({ attention, mlp }) => ({
      kvGroups: attention && range(attention.kvHeads),
      channels: mlp && range(mlp.intermediateSize),
    })),
  };
}

/** The same by blocks. */
export function rankingOf(spec: ModelSpec, { layers }: UnitRanking): Ranking {
  return blocksOf(spec).map(({ layer, dimensions }) =>
    Object.fromEntries(
      dimensions.map(({ name }) => [name, layers[layer]?.[name as "kvGroups" | "channels"] ?? []]),
    )
  );
}

/**
 * The same with the units of one dimension in another ranking.
 * @param units of each block; where there are none, they stay as they are.
 */
export function withUnits(
  spec: ModelSpec,
  { layers }: UnitRanking,
  dimension: string,
  units: readonly (readonly number[] | null)[],
): UnitRanking {
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
  throw new RangeError(`the ranking of the ${what} does not have the ${before.length} units there`);
}
