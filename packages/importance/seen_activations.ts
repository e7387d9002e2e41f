import { hasOutputProjection, type Shape } from "@lopper/core";
import type { Decoder, ExpertSums } from "@lopper/runtime";
import { batchNumbers, type BatchOptions } from "./batches.ts";
import type { CalibrationSet, Sequences } from "./calibration.ts";

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

/** What one batch of a text adds to that: sums over its tokens. */
export interface BatchActivations {
  /** By the numbers of blocks; of their inner channels, in float32 as an engine sums them. */
  readonly energy: ReadonlyMap<number, ArrayLike<number>>;
  readonly experts: ReadonlyMap<number, ExpertSums>;
}

/** How a text is passed over. */
export interface PassOptions extends BatchOptions {
  readonly onProgress?: (tokensDone: number) => void;
}

/** One pass over a text, batch by batch. */
export function seenActivations(
  decoder: Decoder,
  shape: Shape,
  set: CalibrationSet,
  options: PassOptions = {},
): Promise<SeenActivations> {
  return summedActivations(
    set,
    options,
    (_, sequences) => batchActivations(decoder, shape, sequences),
  );
}

/**
 * Sums what the batches of a text add, in their order, on which the last bits of sums depend.
 * @param ofBatch by the batch's number, and its sequences.
 */
export async function summedActivations(
  set: Sequences,
  options: PassOptions,
  ofBatch: (batch: number, sequences: Sequences["sequences"]) => Promise<BatchActivations>,
): Promise<SeenActivations> {
  const sums = new Map<number, Float64Array>(), experts = new Map<number, ExpertSums>();
  let tokens = 0;
  for (const [batch, numbers] of batchNumbers(set, options).entries()) {
    const seen = await ofBatch(batch, numbers.map((i) => set.sequences[i]));
    for (const [block, energy] of seen.energy) addTo(sums, block, energy);
    for (const [block, more] of seen.experts) addExperts(experts, block, more);
    tokens += numbers.length * set.length;
    options.onProgress?.(tokens);
  }
  return {
    energy: new Map([...sums].map(([block, sum]) => [block, sum.map((value) => value / tokens)])),
    experts,
  };
}

/** What one batch adds. */
export async function batchActivations(
  decoder: Decoder,
  shape: Shape,
  sequences: Sequences["sequences"],
): Promise<BatchActivations> {
  const energy = new Map<number, Float32Array>(), experts = new Map<number, ExpertSums>();
  let hidden = await decoder.embed(sequences);
  for (const [number, size] of shape.entries()) {
    if (!size) continue;
    const block = decoder.blocks[number];
    if (block.routing) {
      const run = await decoder.captureExperts(number, shape, hidden, { capture: "energy" });
      hidden = run.hidden;
      experts.set(number, run.experts);
    } else if (hasOutputProjection(block)) {
      const run = await decoder.captureBlock(number, shape, hidden, "energy");
      hidden = run.hidden;
      energy.set(number, run.captured);
    } else {
      hidden = await decoder.runBlock(number, shape, hidden);
    }
  }
  return { energy, experts };
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
  for (const key of ["tokens", "squares", "weighted", "energy"] as const) {
    more[key]?.forEach((value, i) => before[key]![i] += value);
  }
}
