import { blocksLeft, type Shape } from "@lopper/core";
import type { Sequences } from "./calibration.ts";

export interface BatchOptions {
  /** Tokens that run through a block together. */
  readonly batchTokens?: number;
  /**
   * The order in which sequences go into batches, a permutation of their numbers; without it, that
   * of the set.
   */
  readonly order?: readonly number[];
}

/**
 * Enough to keep a matrix product busy, little enough that a block's activations stay near the
 * caches.
 */
export const DEFAULT_BATCH_TOKENS = 2048;

/** The sequences that run together, by their numbers in the set; every sequence is in one batch. */
export function batchNumbers(
  { sequences, length }: Sequences,
  { batchTokens, order = sequences.map((_, i) => i) }: BatchOptions,
): readonly (readonly number[])[] {
  const perBatch = sequencesPerBatch(length, batchTokens);
  return Array.from(
    { length: Math.ceil(order.length / perBatch) },
    (_, i) => order.slice(i * perBatch, (i + 1) * perBatch),
  );
}

export function sequencesPerBatch(length: number, batchTokens = DEFAULT_BATCH_TOKENS): number {
  return Math.max(1, Math.floor(batchTokens / length));
}

/**
 * Block-tokens of a full forward pass over `tokens` tokens, with a head that costs `headCost`
 * blocks.
 */
export function forwardCost(shape: Shape, tokens: number, headCost: number) {
  return tokens * (blocksLeft(shape) + headCost);
}
