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
  /** Queries, keys and values are clipped to what lies between −clip and clip (OLMo 1). */
  readonly clip?: number;
  /**
   * Queries and keys are normed head by head, though the weights of their norms have a value for
   * each channel of all heads (StableLM 2).
   */
  readonly normByHead?: true;
  /** Queries and keys are normed head by head behind the rotation, and not before it (Hunyuan). */
  readonly normAfterRotation?: true;
  readonly queryGrowth?: QueryGrowth;
}

/**
 * Queries of token p are multiplied with 1 + rate · ln(1 + ⌊p / length⌋), from 0 on: those of the
 * first `length` tokens stay as they are (Llama 4's temperature, arXiv 2501.19399; Ministral 3).
 */
export interface QueryGrowth {
  readonly rate: number;
  readonly length: number;
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

/** How the frequencies of a rotary embedding are changed for longer texts. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFrequencyFactor: number;
    readonly highFrequencyFactor: number;
    readonly originalMaxPositions: number;
  }
  | YarnScaling
  | LongRopeScaling;

/**
 * YaRN (arXiv 2309.00071, section 3.2): pairs that turn more than `betaFast` times within the
 * original text stay, those that turn less than `betaSlow` times are divided by the factor, those
 * between are blended.
 */
export interface YarnScaling {
  readonly type: "yarn";
  readonly factor: number;
  readonly betaFast: number;
  readonly betaSlow: number;
  /** The band between ends at whole pairs. */
  readonly truncate: boolean;
  readonly originalMaxPositions: number;
  /** Cosines and sines are multiplied with it. */
  readonly attentionFactor: number;
}

/**
 * LongRoPE (arXiv 2402.13753): each pair has divisors of its own, one for texts up to the original
 * length and one for all tokens of longer texts.
 */
export interface LongRopeScaling {
  readonly type: "longrope";
  readonly shortFactors: readonly number[];
  readonly longFactors: readonly number[];
  readonly originalMaxPositions: number;
  /** Cosines and sines are multiplied with it. */
  readonly attentionFactor: number;
}
