import type { Block } from "@lopper/core";

/**
 * Why the output projections of a model are not refitted, in words that follow "--recover auto";
 * null where they are. A norm behind a block divides what its projection writes by its own size,
 * token by token, so that no linear equations say which projection comes nearest to the dense
 * model.
 */
export function whyNotRefitted(blocks: readonly Block[]): string | null {
  const found = blocks.find(({ placement }) => placement === "post");
  return found
    ? `solves linear equations for the projections by which blocks write, and behind that of block ${found.id} lies a norm`
    : null;
}
