import { type ModelSpec, widestInner } from "@lopper/core";

/** Tokens that are learnt from at most, whatever the model. */
export const REPAIR_TOKENS = 32_768;
/**
 * A fit has an unknown for each input of a projection, in every row: of more tokens for each it has
 * little.
 */
const TOKENS_PER_INPUT = 32;

/** Tokens that the rankings and repairs of a model learn from at most: a narrow one needs fewer. */
export function repairTokens(spec: ModelSpec): number {
  return Math.min(REPAIR_TOKENS, TOKENS_PER_INPUT * widestInner(spec.blocks));
}

/**
 * Bytes that a repair takes beside the weights: matrices of its equations for the widest block, and
 * the hidden states of its text through both models.
 */
export function repairBytes(spec: ModelSpec): number {
  const { hiddenSize } = spec;
  const widest = widestInner(spec.blocks);
  // Gram matrix, the factor, and what is copied of either; right side, fits and what solving holds.
  return 4 * (3 * widest ** 2 + 8 * widest * hiddenSize + 3 * repairTokens(spec) * hiddenSize);
}

/**
 * About how many block-tokens' worth of work repairs are, for a model of which most blocks stay:
 * each block runs in the dense and in the pruned model, its activations are captured, the equations
 * of a fit take about as long again, and after every repair the blocks behind it run on the text to
 * choose on.
 */
export function repairWork(spec: ModelSpec, learn: number, choose: number): number {
  const blocks = spec.blocks.length;
  return blocks * (4 * learn + 3 * choose) + choose * blocks ** 2 / 2;
}
