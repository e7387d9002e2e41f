import type { BlockKind, BlockScope, BlockValues } from "./block_scope.ts";
import { BLOCK_KINDS } from "./kinds/mod.ts";
import { rmsNorm } from "./layers.ts";

/**
 * Adds a block to a graph: h + f(norm(h)), or with the norm behind it h + norm(f(h)), for hidden
 * states h `[N, H]`.
 * @throws {TypeError} when no kind has the block's name.
 */
export function blockNodes(
  scope: BlockScope,
  hidden: string,
  kinds: readonly BlockKind[] = BLOCK_KINDS,
): BlockValues {
  const { g, block, weights, eps } = scope;
  const kind = kinds.find(({ kind }) => kind === block.kind);
  if (!kind) throw new TypeError(`nothing computes a block of the kind ${block.kind}`);
  const norm = (x: string) => rmsNorm(g, x, weights.vector("norm"), eps);
  const post = block.placement === "post";
  const { out, captured } = kind.compute(scope, post ? hidden : norm(hidden));
  return { out: g.node("Add", [hidden, post ? norm(out) : out]), captured };
}
