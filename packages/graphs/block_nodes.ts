import { haveWeight } from "@lopper/core";
import type { BlockKind, BlockScope, BlockValues } from "./block_scope.ts";
import { BLOCK_KINDS } from "./kinds/mod.ts";
import { normed } from "./layers.ts";

/** Hidden states `[N, H]` that a block reads, and those that it adds to. */
export interface BlockInput {
  readonly sum: string;
  /** Another value than the sum only in parallel layers. */
  readonly read: string;
  readonly hiddenSize: number;
}

/**
 * Adds a block to a graph: sum + f(norm(read)), with the norm behind it sum + norm(f(read)), or
 * with norms before and behind it.
 * @throws {TypeError} when no kind has the block's name.
 */
export function blockNodes(
  scope: BlockScope,
  { sum, read, hiddenSize }: BlockInput,
  kinds: readonly BlockKind[] = BLOCK_KINDS,
): BlockValues {
  const { g, block, weights } = scope;
  const kind = kinds.find(({ kind }) => kind === block.kind);
  if (!kind) throw new TypeError(`nothing computes a block of the kind ${block.kind}`);
  const vector = (name: string) => haveWeight([block], name) ? weights.vector(name) : undefined;
  const norm = (x: string, name: string) =>
    normed(g, x, scope.norm, {
      width: hiddenSize,
      weight: vector(name),
      bias: vector(`${name}_bias`),
    });
  const { placement = "pre", multiplier } = block;
  const { out, captured } = kind.compute(scope, placement === "post" ? read : norm(read, "norm"));
  const behind = placement === "pre" ? out : norm(out, placement === "post" ? "norm" : "post_norm");
  const added = multiplier === undefined ? behind : g.node("Mul", [behind, g.float32(multiplier)]);
  return { out: g.node("Add", [sum, added]), captured };
}
