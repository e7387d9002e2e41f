import type { Shape } from "@lopper/core";
import {
  BatchLosses,
  batchNumbers,
  type CalibrationSet,
  type Judge,
  nextTokens,
  readBatch,
  sequenceMeans,
} from "@lopper/importance";
import { type Decoder, forwardFrom, type HiddenStates } from "@lopper/runtime";

/** A text in batches of its sequences, by their numbers in the set. */
export interface BatchedText {
  readonly set: CalibrationSet;
  readonly batches: readonly (readonly number[])[];
}

/** A text under way through a model. */
export interface Pass {
  readonly text: BatchedText;
  /** The number of the block that comes next. */
  readonly block: number;
  /** What enters it, batch by batch. */
  readonly hiddenStates: readonly HiddenStates[];
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
  const hiddenStates: HiddenStates[] = [];
  for (const sequences of sequencesOf(text)) hiddenStates.push(await decoder.embed(sequences));
  return { text, block: 0, hiddenStates };
}

/** The same text before the block `end`, behind those in between as `shape` has them. */
export async function advance(
  decoder: Decoder,
  shape: Shape,
  { text, block: first, hiddenStates }: Pass,
  end: number,
): Promise<Pass> {
  const moved: HiddenStates[] = [];
  for (let hidden of hiddenStates) {
    for (let block = first; block < end; block++) {
      hidden = await decoder.runBlock(block, shape, hidden);
    }
    moved.push(hidden);
  }
  return { text, block: end, hiddenStates: moved };
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
  { text, block, hiddenStates }: Pass,
  losses: BatchLosses,
): Promise<readonly number[]> {
  const means: number[] = [];
  for (const [b, sequences] of sequencesOf(text).entries()) {
    const hidden = await forwardFrom(decoder, shape, block, hiddenStates[b]);
    const loss = await losses.of(b, readBatch(decoder, hidden, nextTokens(sequences)));
    means.push(...sequenceMeans(loss, sequences, text.set.ignoredLabel));
  }
  return means;
}

function sequencesOf({ set, batches }: BatchedText) {
  return batches.map((numbers) => numbers.map((i) => set.sequences[i]));
}
