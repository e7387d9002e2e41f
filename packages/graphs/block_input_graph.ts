import type { Block, Norm } from "@lopper/core";
import { normedInput } from "./block_nodes.ts";
import { GraphBuilder } from "./graph_builder.ts";

/** Weights that a block may put what it reads through first. */
const NORMS = ["norm", "norm_bias"] as const;

/** Those of them that a block has, and that come before what it computes. */
export function inputNorms({ weights, placement }: Block): readonly string[] {
  if (placement === "post") return [];
  return NORMS.filter((name) => weights.some((weight) => weight.name === name));
}

/**
 * What enters the first projections of a block: the hidden states that it reads, behind its norm
 * where that is before it.
 *
 * Feeds, float32: `hidden [B, T, H]`, and the weights that `inputNorms` names. Fetches:
 * `entering [B · T, H]`.
 */
export function blockInputGraph(
  block: Block,
  { hiddenSize, norm }: { readonly hiddenSize: number; readonly norm: Norm },
): Uint8Array {
  const g = new GraphBuilder(`${block.kind}_input`);
  const hidden = g.input("hidden", "float32", ["B", "T", hiddenSize]);
  const read = g.node("Reshape", [hidden, g.int64([-1, hiddenSize])]);
  for (const name of inputNorms(block)) g.input(name, "float32", [hiddenSize]);
  const entering = normedInput(
    { g, block, norm, weights: { vector: (name) => name } },
    read,
    hiddenSize,
  );
  g.output("entering", entering, "float32", ["N", hiddenSize]);
  g.independent("B", "T");
  return g.encode();
}
