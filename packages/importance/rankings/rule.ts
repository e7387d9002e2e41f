import type { Matrix, Products } from "@lopper/algebra";
import type { Block, DeclaredWeight } from "@lopper/core";
import type { ExpertSums } from "@lopper/runtime";

/**
 * A rule that says which units of a block matter most: one file each, and a line of the list in
 * `mod.ts`.
 */
export type RankingRule = WeightRule | ActivationRule | MomentRule | RoutingRule;

interface Rule {
  /** As `--ranking` has it. */
  readonly name: string;
  /** What it goes by, in a few words for the help. */
  readonly goesBy: string;
  /** The dimensions whose units it can rank; without it, all but experts. */
  readonly dimensions?: readonly string[];
  /**
   * Whether `--ranking auto` tries it. A trial cut has the weights of the checkpoint, and says
   * nothing of a rule that counts on others.
   */
  readonly isTried: boolean;
}

/** It needs the dense weights of a block, and no text. */
export interface WeightRule extends Rule {
  readonly needs: "weights";
  /**
   * What each unit of a dimension is worth, by its number in the checkpoint; the largest stay
   * longest.
   * @param read the values of a weight, row-major.
   */
  worth(
    block: Block,
    dimension: string,
    read: (weight: DeclaredWeight) => Promise<Float32Array>,
  ): Promise<Float64Array>;
}

/**
 * The inner channels of a block: what enters its output projection, and the weights that they meet
 * there.
 */
export interface InnerChannels {
  /** Mean square of each channel's activation over the tokens of a text, `[channels]`. */
  readonly meanSquares: Float64Array;
  /** The output projection, transposed: `[channels, hiddenSize]`. */
  readonly columns: Float32Array;
}

/** It needs one pass over a text, which measures how large activations are. */
export interface ActivationRule extends Rule {
  readonly needs: "activations";
  /** What each inner channel is worth; a unit is worth what its channels are together. */
  worth(channels: InnerChannels): Float64Array;
}

/** How the inner channels of a block go together. */
export interface ActivationMoments {
  /**
   * The sum of aaᵀ over all tokens, a being what enters the output projection: its lower triangle,
   * `[channels, channels]`.
   */
  readonly gram: Matrix;
  /** The output projection, transposed: `[channels, hiddenSize]`. */
  readonly columns: Matrix;
  /** Consecutive channels that are one unit. */
  readonly width: number;
  /** Hears of the share that is done; may throw to stop. */
  readonly onProgress: (share: number) => void;
}

/** It needs how activations go together: their second moments, a block at a time. */
export interface MomentRule extends Rule {
  readonly needs: "secondMoments";
  /**
   * Places of the units as they lie, the most important first; null where float32 is not enough for
   * this text.
   */
  places(products: Products, moments: ActivationMoments): Promise<readonly number[] | null>;
}

/** It needs one pass over a text, which sees where tokens go and what experts make of them. */
export interface RoutingRule extends Rule {
  readonly needs: "routing";
  /** What each expert is worth, in the order of the sums. */
  worth(sums: ExpertSums): Float64Array;
}
