import { ownersOf, type Shape } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";

/** What is ranked: the channels of every MLP, or the KV groups of every attention. */
export type UnitKind = "channels" | "kvGroups";

/**
 * For each block all its units of one dimension, most important first; null where it lacks the
 * dimension.
 */
export type RankedUnits = readonly (readonly number[] | null)[];

/** The units of a dimension as a decoder's weights lie. */
export function lyingUnits({ weights }: Decoder, dimension: string): RankedUnits {
  return weights.ranking.map((units) => units?.[dimension] ?? null);
}

/**
 * Units in the order of places, the first of which is the most important; those behind them are cut
 * off already, and stay.
 */
export function inPlaces(units: readonly number[], places: readonly number[]): readonly number[] {
  return [...places.map((place) => units[place]), ...units.slice(places.length)];
}

/** The places of values, the largest first; equal ones keep their order. */
export function descending(values: Float64Array): readonly number[] {
  return Array.from(values, (_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
}

/**
 * The units that a shape keeps of a decoder's weights in the order of another ranking of all of
 * them; others stay.
 */
export function rankLike(
  decoder: Decoder,
  shape: Shape,
  dimension: string,
  ranking: RankedUnits,
): RankedUnits {
  return lyingUnits(decoder, dimension).map((units, block) => {
    const kept = shape[block]?.[dimension];
    const wanted = ranking[block];
    if (!units || !wanted || kept === undefined) return units;
    const count = kept * ownersOf(decoder.blocks[block], dimension);
    const there = new Set(units.slice(0, count));
    return [...wanted.filter((unit) => there.has(unit)), ...units.slice(count)];
  });
}
