import { outputProjection, type Shape } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import { ownedByActivations } from "./rank_of_owners.ts";
import { descending, inPlaces, lyingUnits, type RankedUnits } from "./ranked_units.ts";
import type { ActivationRule } from "./rankings/rule.ts";
import type { SeenActivations } from "./seen_activations.ts";

/**
 * The decoder's units of a dimension by what passes through them. Only those move that `shape`
 * keeps: what is cut off already stays where it is, behind them. A unit counts what its inner
 * channels are worth together; equal ones keep the order of before. Of units that experts own, each
 * expert ranks its own by the tokens that went to it.
 */
export async function rankByActivations(
  decoder: Decoder,
  shape: Shape,
  dimension: string,
  rule: ActivationRule,
  { energy, experts }: SeenActivations,
): Promise<RankedUnits> {
  const ranked = [...lyingUnits(decoder, dimension)];
  for (const [block, units] of ranked.entries()) {
    const size = shape[block];
    const meanSquares = energy.get(block);
    if (!units || !size || !meanSquares) continue;
    const { axes: [, axis] } = outputProjection(decoder.blocks[block]);
    if (axis.dimension !== dimension) continue;
    const { data: columns } = await decoder.weights.output(block, size);
    const worth = sums(rule.worth({ meanSquares, columns }), axis.width);
    ranked[block] = inPlaces(units, descending(worth));
  }
  for (const [block, sums] of experts) {
    ranked[block] = await ownedByActivations(decoder, shape, block, dimension, rule, sums) ??
      ranked[block];
  }
  return ranked;
}

/** The sum of every `width` values. */
function sums(values: Float64Array, width: number): Float64Array {
  return Float64Array.from(
    { length: values.length / width },
    (_, u) => values.subarray(u * width, (u + 1) * width).reduce((a, b) => a + b, 0),
  );
}
