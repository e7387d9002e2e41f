import { type Block, denseShape, reduction, type Resource, type Shape } from "@lopper/core";

/**
 * What a shape does without, in per cent of what the dense model takes; of parameters, the
 * published pruning ratio.
 */
export function savedBy(
  resource: Pick<Resource, "amount">,
  blocks: readonly Block[],
  shape: Shape,
): number {
  return reduction(resource, denseOf(blocks), shape);
}

const DENSE = new WeakMap<readonly Block[], Shape>();

/** The same object for the same blocks, by whose sizes a quick resource knows its parts again. */
function denseOf(blocks: readonly Block[]): Shape {
  const dense = DENSE.get(blocks) ?? denseShape(blocks);
  DENSE.set(blocks, dense);
  return dense;
}
