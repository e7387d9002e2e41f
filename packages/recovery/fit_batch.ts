import type { Matrix } from "@lopper/algebra";

/** One batch of what a projection is fitted on, a row for each token. */
export interface FitBatch {
  /** X: what enters the projection, `[tokens, channels]`. */
  readonly captured: Matrix;
  /**
   * R: what the projection's output lacks for the block's to be the dense hidden states, `[tokens,
   * hiddenSize]`.
   */
  readonly missing: Matrix;
}
