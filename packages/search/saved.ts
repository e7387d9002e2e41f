import { type Block, denseShape, type Shape } from "@lopper/core";
import type { Resource } from "@lopper/core";

/** What a shape does without, in per cent of what the dense model takes; of parameters, the published pruning ratio. */
export function savedBy(
  resource: Pick<Resource, "amount">,
  blocks: readonly Block[],
  shape: Shape,
): number {
  return (1 - resource.amount(shape) / resource.amount(denseOf(blocks))) * 100;
}

const DENSE = new WeakMap<readonly Block[], Shape>();

/** It is asked for with every candidate. */
function denseOf(blocks: readonly Block[]): Shape {
  const dense = DENSE.get(blocks) ?? denseShape(blocks);
  DENSE.set(blocks, dense);
  return dense;
}
