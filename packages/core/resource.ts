import { type BlockSize, parametersOfBlock, type Shape } from "./block.ts";
import { countParameters } from "./counts.ts";
import type { Architecture } from "./architecture.ts";

/**
 * What pruning saves, as a sum: each block takes its part, and what lies around the blocks a part
 * that stays. NetAdapt (arXiv 1804.03230) calls it a resource, and prunes by one that was measured
 * instead of counted.
 */
export interface Resource {
  readonly name: "parameters" | "latency";
  /** What a model of this shape takes in all. */
  amount(shape: Shape): number;
  /** What the block of this number takes of it in a size. */
  block(number: number, size: BlockSize): number;
}

/**
 * Parameters as the published pruning ratio counts them: the norm of a removed block still counts,
 * as nothing of the block.
 */
export function parametersOf(architecture: Architecture): Resource {
  return {
    name: "parameters",
    amount: (shape) => countParameters(architecture, shape, { norms: "kept" }).total,
    block: (number, size) => parametersOfBlock(architecture.blocks[number], size, { norms: false }),
  };
}

/**
 * What a shape does without, in per cent of what the dense model takes; of parameters, the
 * published pruning ratio.
 */
export function reduction(
  resource: Pick<Resource, "amount">,
  dense: Shape,
  shape: Shape,
): number {
  return (1 - resource.amount(shape) / resource.amount(dense)) * 100;
}
