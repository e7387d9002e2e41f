import type { BlockSize } from "@lopper/core";

/**
 * Which operator computes attention. `gqa` (com.microsoft.GroupQueryAttention) is the fastest on
 * native CPU, and needs fixed head counts; `attention` (ONNX 23) is the fastest in WASM and takes
 * any head count at run time, as `plain` does, which is no operator but MatMul and Softmax. What of
 * a block they cannot compute is said by `operatorLacks`.
 */
export type AttentionOp = "gqa" | "attention" | "plain";

/** How the tokens of a block that is attended see one another. */
export interface FedAttention {
  readonly op: AttentionOp;
  /** Units of the block, for `gqa`, whose head counts are fixed. */
  readonly size?: BlockSize;
  /**
   * Reads the keys and values of earlier tokens and returns them with the new ones (for
   * generation).
   */
  readonly kvCache?: boolean;
  /**
   * Without `kvCache`, for sequences of at least so many tokens: queries go in so many chunks, each
   * over the keys up to its end. The operators multiply all queries by all keys and mask half of it
   * away afterwards; chunks leave out what they can of that half, and their scores fit into a
   * cache. `gqa` takes one sequence only then; `plain` knows no chunks.
   */
  readonly chunks?: number;
  /** For `plain`, without `kvCache`: what a token sees is fed, instead of all tokens before it. */
  readonly masked?: boolean;
  /**
   * Some token is farther back than the block's window: without it, the window is not looked at.
   * Not for what is masked, whose mask says what is too far.
   */
  readonly windowed?: boolean;
  /**
   * Some token is farther on than the length from which queries grow: without it, they do not. Not
   * for `gqa`.
   */
  readonly grown?: boolean;
}
