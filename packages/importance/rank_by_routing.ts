import { inTurns, type Shape } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import { descending, inPlaces, lyingUnits, type RankedUnits } from "./ranked_units.ts";
import type { RoutingRule } from "./rankings/rule.ts";
import type { SeenActivations } from "./seen_activations.ts";

/**
 * The decoder's experts by what they make of the tokens that go to them; groups of a router take
 * turns, so that each loses as many. Only those move that `shape` keeps, as in
 * `rankByActivations`.
 */
export function rankByRouting(
  decoder: Decoder,
  shape: Shape,
  dimension: string,
  rule: RoutingRule,
  { experts }: Pick<SeenActivations, "experts">,
): RankedUnits {
  return lyingUnits(decoder, dimension).map((units, block) => {
    const sums = experts.get(block);
    if (!units || !shape[block] || !sums) return units;
    const ranked = inPlaces(units, descending(rule.worth(sums)));
    const kept = shape[block][dimension];
    const own = decoder.blocks[block].dimensions.find(({ name }) => name === dimension)!;
    return [...inTurns(ranked.slice(0, kept), own), ...ranked.slice(kept)];
  });
}
