import type { Block, BlockSize, Shape } from "@lopper/core";
import { type Sizes, WorkError } from "./work_schema.ts";

/** In what a shape differs from another one of the same model. */
export function sizesBetween(from: Shape, to: Shape): Sizes {
  return to.flatMap((size, i) => isSame(from[i], size) ? [] : [[i, size] as const])
    .map(([i, size]): [number, BlockSize | null] => [i, size]);
}

/**
 * What a shape becomes by these sizes.
 * @throws {WorkError} when no block of the model can have one of them.
 */
export function withSizes(blocks: readonly Block[], from: Shape, sizes: Sizes): Shape {
  const to = [...from];
  for (const [number, size] of sizes) {
    if (number >= blocks.length || size && !fits(blocks[number], size)) {
      throw new WorkError(`the queue has a size of block ${number} that the model cannot have`);
    }
    to[number] = size;
  }
  return to;
}

function fits({ dimensions }: Block, size: BlockSize): boolean {
  return Object.keys(size).length === dimensions.length &&
    dimensions.every(({ name, units }) => Object.hasOwn(size, name) && size[name] <= units);
}

function isSame(a: BlockSize | null, b: BlockSize | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && Object.keys(a).every((name) => a[name] === b[name]);
}
