/**
 * The hidden states of a batch of equally long sequences: `data` is `[batch, length, hiddenSize]`.
 */
export interface HiddenStates {
  readonly batch: number;
  readonly length: number;
  readonly data: Float32Array;
  /**
   * What the layer was given whose blocks are under way, where a block of it that is to come reads
   * that and not `data`: of the same shape.
   */
  readonly base?: Float32Array;
}

/** What the tokens of a batch attend to, when its rows are not sequences of text. */
export interface AttentionMask {
  /** Position of each token for the rotary embedding, `[batch · length]`. */
  readonly positions: readonly number[];
  /**
   * Added to the attention scores, 0 or a large negative number: `[batch, length, length]`, query
   * by key.
   */
  readonly values: Float32Array;
}

/**
 * Keys and values of earlier tokens of one attention block, `[batch, kvHeads, length, headDim]`
 * each.
 */
export interface KeyValues {
  readonly length: number;
  readonly keys: Float32Array;
  readonly values: Float32Array;
}
