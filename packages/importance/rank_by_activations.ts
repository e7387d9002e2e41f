import { outputProjection, type Shape } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import { batchNumbers, type BatchOptions } from "./batches.ts";
import type { CalibrationSet } from "./calibration.ts";
import { descending, inPlaces, lyingUnits, type RankedUnits } from "./ranked_units.ts";
import type { ActivationRule } from "./rankings/rule.ts";

/**
 * The mean square of every inner channel of every block that is there, by the number of the block.
 */
export type ActivationEnergy = ReadonlyMap<number, Float64Array>;

/**
 * One pass over a text, batch by batch, that keeps the sums of squares of what enters the output
 * projections: a number for each channel, in the order in which the decoder's weights lie.
 */
export async function activationEnergy(
  decoder: Decoder,
  shape: Shape,
  set: CalibrationSet,
  options: BatchOptions & { readonly onProgress?: (tokensDone: number) => void } = {},
): Promise<ActivationEnergy> {
  const sums = new Map<number, Float64Array>();
  let tokens = 0;
  for (const numbers of batchNumbers(set, options)) {
    const sequences = numbers.map((i) => set.sequences[i]);
    let hidden = await decoder.embed(sequences);
    for (const [block, size] of shape.entries()) {
      if (!size) continue;
      const run = await decoder.captureBlock(block, shape, hidden, "energy");
      hidden = run.hidden;
      const sum = sums.get(block) ?? new Float64Array(run.captured.length);
      run.captured.forEach((value, c) => sum[c] += value);
      sums.set(block, sum);
    }
    tokens += sequences.length * set.length;
    options.onProgress?.(tokens);
  }
  return new Map([...sums].map(([block, sum]) => [block, sum.map((value) => value / tokens)]));
}

/**
 * The decoder's units of a dimension by what passes through them. Only those move that `shape`
 * keeps: what is cut off already stays where it is, behind them. A unit counts what its inner
 * channels are worth together; equal ones keep the order of before.
 */
export function rankByActivations(
  decoder: Decoder,
  shape: Shape,
  dimension: string,
  rule: ActivationRule,
  energy: ActivationEnergy,
): RankedUnits {
  return lyingUnits(decoder, dimension).map((units, block) => {
    const size = shape[block];
    const meanSquares = energy.get(block);
    if (!units || !size || !meanSquares) return units;
    const { name, axes: [, axis] } = outputProjection(decoder.blocks[block]);
    if (axis.dimension !== dimension) return units;
    const columns = decoder.weights.block(block, size)
      .find((weight) => weight.name === name)!.data;
    return inPlaces(units, descending(sums(rule.worth({ meanSquares, columns }), axis.width)));
  });
}

/** The sum of every `width` values. */
function sums(values: Float64Array, width: number): Float64Array {
  return Float64Array.from(
    { length: values.length / width },
    (_, u) => values.subarray(u * width, (u + 1) * width).reduce((a, b) => a + b, 0),
  );
}
