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
import { type Decoder, forwardFrom, type Stream } from "@lopper/runtime";

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
  readonly streams: readonly Stream[];
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
  const streams: Stream[] = [];
  for (const sequences of sequencesOf(text)) streams.push(await decoder.embed(sequences));
  return { text, block: 0, streams };
}

/** The same text before the block `end`, behind those in between as `shape` has them. */
export async function advance(
  decoder: Decoder,
  shape: Shape,
  { text, block: first, streams }: Pass,
  end: number,
): Promise<Pass> {
  const moved: Stream[] = [];
  for (let stream of streams) {
    for (let block = first; block < end; block++) {
      stream = await decoder.runBlock(block, shape, stream);
    }
    moved.push(stream);
  }
  return { text, block: end, streams: moved };
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
  { text, block, streams }: Pass,
  losses: BatchLosses,
): Promise<readonly number[]> {
  const means: number[] = [];
  for (const [b, sequences] of sequencesOf(text).entries()) {
    const stream = await forwardFrom(decoder, shape, block, streams[b]);
    const loss = await losses.of(b, readBatch(decoder, stream, nextTokens(sequences)));
    means.push(...sequenceMeans(loss, sequences, text.set.ignoredLabel));
  }
  return means;
}

function sequencesOf({ set, batches }: BatchedText) {
  return batches.map((numbers) => numbers.map((i) => set.sequences[i]));
}
