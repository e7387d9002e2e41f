import { type Architecture, widestInner } from "@lopper/core";
import { LAMBDAS } from "./refit.ts";
import type { RefitWay } from "./refit_task.ts";

/** Tokens that are learnt from at most, whatever the model. */
export const REFIT_TOKENS = 32_768;
/**
 * A fit has an unknown for each input of a projection, in every row: of more tokens for each it has
 * little.
 */
const TOKENS_PER_INPUT = 32;

/** Tokens that the rankings and refits of a model learn from at most: a narrow one needs fewer. */
export function refitTokens(architecture: Architecture): number {
  return Math.min(REFIT_TOKENS, TOKENS_PER_INPUT * widestInner(architecture.blocks));
}

/**
 * Bytes that the equations of a refit take beside the weights, all of which need to be in memory:
 * matrices for the widest block, one at a time, and what experts add to the tokens of a batch.
 */
export function refitEquationBytes(
  { hiddenSize, blocks }: Architecture,
  batchTokens: number,
): number {
  const widest = widestInner(blocks);
  const routed = Math.max(0, ...blocks.map(({ routing }) => routing?.topK ?? 0)) * batchTokens;
  // Gram matrix, the factor, and what is copied of either; right side, fits and what solving holds.
  return 4 * (3 * widest ** 2 + 8 * widest * hiddenSize + routed * hiddenSize);
}

/** What refits keep between two blocks. */
export interface RefitKept {
  /** Tokens that are learnt from, and of validation text: half of it is chosen on. */
  readonly calibration: number;
  readonly validation: number;
  readonly way: RefitWay;
  /** Bytes of all output projections as the checkpoint has them. */
  readonly outputs: number;
}

/**
 * Bytes that a refit keeps in a workspace: the hidden states of both texts in both models, and of
 * local fits those of every ridge and what they take the place of.
 */
export function refitKeptBytes(
  { hiddenSize }: Architecture,
  { calibration, validation, way, outputs }: RefitKept,
): number {
  return 4 * (2 * calibration + validation) * hiddenSize +
    (way === "auto" ? 0 : (LAMBDAS.length + 1) * outputs);
}

/** Tokens of the texts that refits learn from and choose on. */
export interface RefitTokens {
  readonly calibration: number;
  readonly validation: number;
  readonly way: RefitWay;
  /** Whether single candidates are fitted, too, before there is a plan. */
  readonly cells?: boolean;
}

/**
 * What equations take of the time of a pass over the text through their block: multiply-accumulates
 * grow with the width, and a model of 14,336 channels has as many in both. Of narrow ones a fifth
 * was measured.
 */
function equationShare({ blocks }: Architecture): number {
  return Math.min(1, Math.max(0.2, widestInner(blocks) / 14_336));
}

/**
 * About how many block-tokens' worth of work refits are, for a model of which most blocks stay.
 * Local ones: the dense model runs, there are Gram matrices and fits, and each ridge is judged on
 * the text to choose on; fits of candidates are judged as these are. Along the stream: each block
 * runs in the dense and in the pruned model, its activations are captured, there are the equations
 * of a fit, and after every refit the blocks behind it run on the text to choose on.
 */
export function refitWork(
  architecture: Architecture,
  { calibration, validation, way, cells = false }: RefitTokens,
): number {
  const blocks = architecture.blocks.length;
  const equations = equationShare(architecture);
  const local = blocks * ((1 + equations) * calibration + (LAMBDAS.length + 2) * validation);
  const stream = blocks * ((3 + equations) * calibration + 3 * validation) +
    validation * blocks ** 2 / 2;
  const ofCells = cells ? blocks * (1 + equations) * calibration : 0;
  return ofCells + (way === "auto" ? 0 : local) + (way === "local" ? 0 : stream);
}
