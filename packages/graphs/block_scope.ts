import type { Block, Norm } from "@lopper/core";
import type { GraphBuilder } from "./graph_builder.ts";

/**
 * The weights of one block as values of a graph, wherever they lie: fed with every run, resident on
 * a device, or stored in files beside the graph. The values are made where they are asked for.
 */
export interface BlockWeights {
  /** A norm or a bias. */
  vector(name: string): string;
  /** x · Wᵀ, and the bias `<name>_bias` where the block has one; x is `[N, in]`. */
  project(x: string, name: string): string;
  /** The stacked weights of one unit; only where weights are stored. */
  ofUnit?(unit: number): Pick<BlockWeights, "project">;
}

/** Where the nodes of a block are added, and what they need beside its input. */
export interface BlockScope {
  readonly g: GraphBuilder;
  readonly block: Block;
  readonly weights: BlockWeights;
  /** What all norms compute. */
  readonly norm: Norm;
  readonly attend: Attend;
}

/** What the tokens of a block see one another by: the channels of heads side by side. */
export interface AttendedHeads {
  /** `[N, Q]` */
  readonly q: string;
  /** `[N, K]`, as `v`. */
  readonly k: string;
  readonly v: string;
  /** What becomes of rotated queries or keys `[B, heads, T, D]`; nothing unless said. */
  readonly behindRotation?: (x: string, of: "q" | "k") => string;
  /** A score of each query head that is no token's, `[query heads]`. */
  readonly sinks?: string;
  /** What each query head takes off a score for each token in between, `[query heads]`. */
  readonly slopes?: string;
}

/**
 * Lets tokens see one another: from the heads to the context `[N, Q]`. Rotary embedding, masks and
 * earlier tokens are the graph's affair. Only for blocks that say `attended`.
 */
export type Attend = (heads: AttendedHeads) => string;

/** Of a block that lets its tokens see nothing: whoever asks is told. */
export function notAttended({ id }: Block): Attend {
  return () => {
    throw new TypeError(`block ${id} does not say that it is attended`);
  };
}

/** What a block computes of `[N, H]`. */
export interface BlockValues {
  /** `[N, H]` */
  readonly out: string;
  /** What enters its last projection, `[N, inner channels]`. */
  readonly captured: string;
}

/**
 * What blocks of a kind compute, without the norm and the sum around it; `kind` is the word for it
 * in `Block`.
 */
export interface BlockKind {
  readonly kind: string;
  compute(scope: BlockScope, x: string): BlockValues;
}
