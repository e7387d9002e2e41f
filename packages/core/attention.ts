import type { Axis } from "./axis.ts";

/** How the tokens of a block see one another. */
export interface Attention {
  /**
   * Channels that are multiplied with those of every earlier position, twice: for scores and for
   * values.
   */
  readonly channels: Axis;
  /** What scores are multiplied with before the softmax. */
  readonly scale: number;
  /** How queries and keys are rotated by their positions; null where they are not. */
  readonly rope: Rope | null;
  /** Tokens that it reaches back at most, itself included; null for all. */
  readonly window: number | null;
  /** Scores s become cap · tanh(s / cap) (Gemma 2, arXiv 2408.00118, section 2); null for none. */
  readonly softCap: number | null;
}

/**
 * Rotary position embedding (RoFormer, arXiv 2104.09864) with the scalings of the families read
 * here.
 */
export interface Rope {
  readonly theta: number;
  readonly scaling: RopeScaling | null;
  /** Channels of a head that are rotated, its first ones; all of them unless said. */
  readonly channels?: number;
  /**
   * Which channels are rotated together: i and i + half of those rotated, or 2i and 2i + 1. Halves
   * unless said.
   */
  readonly pairs?: "neighbours";
}

export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFrequencyFactor: number;
    readonly highFrequencyFactor: number;
    readonly originalMaxPositions: number;
  };
