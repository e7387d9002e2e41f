import { hasOutputProjection, type Shape } from "@lopper/core";
import type { Decoder, ExpertSums } from "@lopper/runtime";
import { batchNumbers, type BatchOptions } from "./batches.ts";
import type { CalibrationSet } from "./calibration.ts";

/** What one pass over a text saw of the blocks that are there, by their numbers. */
export interface SeenActivations {
  /**
   * The mean square of every inner channel, in the order in which the decoder's weights lie; of
   * blocks whose units write through one projection.
   */
  readonly energy: ReadonlyMap<number, Float64Array>;
  /** What experts made of the tokens that went to them; of mixtures. */
  readonly experts: ReadonlyMap<number, ExpertSums>;
}

/** One pass over a text, batch by batch. */
export async function seenActivations(
  decoder: Decoder,
  shape: Shape,
  set: CalibrationSet,
  options: BatchOptions & { readonly onProgress?: (tokensDone: number) => void } = {},
): Promise<SeenActivations> {
  const sums = new Map<number, Float64Array>(), experts = new Map<number, ExpertSums>();
  let tokens = 0;
  for (const numbers of batchNumbers(set, options)) {
    const sequences = numbers.map((i) => set.sequences[i]);
    let hidden = await decoder.embed(sequences);
    for (const [number, size] of shape.entries()) {
      if (!size) continue;
      const block = decoder.blocks[number];
      if (block.routing) {
        const run = await decoder.captureExperts(number, shape, hidden);
        hidden = run.hidden;
        addExperts(experts, number, run.experts);
      } else if (hasOutputProjection(block)) {
        const run = await decoder.captureBlock(number, shape, hidden, "energy");
        hidden = run.hidden;
        addTo(sums, number, run.captured);
      } else {
        hidden = await decoder.runBlock(number, shape, hidden);
      }
    }
    tokens += sequences.length * set.length;
    options.onProgress?.(tokens);
  }
  return {
    energy: new Map([...sums].map(([block, sum]) => [block, sum.map((value) => value / tokens)])),
    experts,
  };
}

function addTo(sums: Map<number, Float64Array>, block: number, values: ArrayLike<number>) {
  const sum = sums.get(block) ?? new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) sum[i] += values[i];
  sums.set(block, sum);
}

function addExperts(sums: Map<number, ExpertSums>, block: number, more: ExpertSums) {
  const before = sums.get(block);
  if (!before) {
    sums.set(block, more);
    return;
  }
  for (const key of ["tokens", "squares", "weighted"] as const) {
    more[key].forEach((value, i) => before[key][i] += value);
  }
}
