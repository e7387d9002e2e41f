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
  const kind = kinds.find(({ kind }) => kind === scope.block.kind);
  if (!kind) throw new TypeError(`nothing computes a block of the kind ${scope.block.kind}`);
  const { out, captured } = kind.compute(scope, normedInput(scope, read, hiddenSize));
  return { out: withAdded(scope, sum, out, hiddenSize), captured };
}

/** What a block reads, behind the norm where that is before it. */
export function normedInput(scope: NormScope, read: string, hiddenSize: number): string {
  return scope.block.placement === "post" ? read : blockNorm(scope, read, "norm", hiddenSize);
}

/** The hidden states with what a block computed of them. */
export function withAdded(scope: NormScope, sum: string, out: string, hiddenSize: number): string {
  const { g, block: { placement = "pre", multiplier } } = scope;
  const name = placement === "post" ? "norm" : "post_norm";
  const behind = placement === "pre" ? out : blockNorm(scope, out, name, hiddenSize);
  const added = multiplier === undefined ? behind : g.node("Mul", [behind, g.float32(multiplier)]);
  return g.node("Add", [sum, added]);
}

/** What norms of a block need. */
export type NormScope = Pick<BlockScope, "g" | "block" | "norm"> & {
  readonly weights: Pick<BlockScope["weights"], "vector">;
};

function blockNorm(scope: NormScope, x: string, name: string, hiddenSize: number): string {
  const { g, block, weights } = scope;
  const vector = (name: string) => haveWeight([block], name) ? weights.vector(name) : undefined;
  return normed(g, x, scope.norm, {
    width: hiddenSize,
    weight: vector(name),
    bias: vector(`${name}_bias`),
  });
}
