import type { Shape } from "@lopper/core";
import {
  BatchLosses,
  batchNumbers,
  type CalibrationSet,
  embeddedBatches,
  type Judge,
  nextTokens,
  readBatch,
  sequenceMeans,
} from "@lopper/importance";
import { type Decoder, forwardFrom, type KeptStates } from "@lopper/runtime";

/** A text in batches of its sequences, by their numbers in the set. */
export interface BatchedText {
  readonly set: CalibrationSet;
  readonly batches: readonly (readonly number[])[];
}

/** A text under way through a model. */
export interface Pass {
  readonly text: BatchedText;
  /** The number of the block that comes next. */
  block: number;
  /** What enters it, batch by batch. */
  readonly states: KeptStates;
}

/** A text under way through the dense model and through the pruned one. */
export interface PassPair {
  readonly dense: Pass;
  readonly pruned: Pass;
}

export function batched(set: CalibrationSet, batchTokens: number): BatchedText {
  return { set, batches: batchNumbers(set, { batchTokens }) };
}

/** A text before the first block. */
export async function begin(decoder: Decoder, text: BatchedText): Promise<Pass> {
  return { text, block: 0, states: await embeddedBatches(decoder, text.set, text.batches) };
}

/** Moves a text on to the block `end`, through those before it as `shape` has them. */
export async function advance(
  decoder: Decoder,
  shape: Shape,
  pass: Pass,
  end: number,
): Promise<void> {
  const { states } = pass;
  // Batch after batch through one block, which may have to be read.
  for (let { block } = pass; block < end; block++) {
    for (let b = 0; b < states.length; b++) {
      await states.put(b, await decoder.runBlock(block, shape, await states.read(b)));
    }
    pass.block = block + 1;
  }
}

/** The losses of a text's batches, by a criterion or by its NLL. */
export function lossesOf({ set, batches }: BatchedText, judge?: Judge): BatchLosses {
  return new BatchLosses(set, batches, judge);
}

/**
 * Mean loss of each sequence of a text, in nats per token, when a model of this shape runs from
 * where it is.
 */
export async function lossOf(
  decoder: Decoder,
  shape: Shape,
  { text, block, states }: Pass,
  losses: BatchLosses,
): Promise<readonly number[]> {
  const means: number[] = [];
  for (const [b, sequences] of sequencesOf(text).entries()) {
    const hidden = await forwardFrom(decoder, shape, block, await states.read(b));
    const loss = await losses.of(b, readBatch(decoder, hidden, nextTokens(sequences)));
    means.push(...sequenceMeans(loss, sequences, text.set.ignoredLabel));
  }
  return means;
}

function sequencesOf({ set, batches }: BatchedText) {
  return batches.map((numbers) => numbers.map((i) => set.sequences[i]));
}
