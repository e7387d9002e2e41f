import type { Block, Norm } from "@lopper/core";
import { fedAttention } from "./attention/fed_attention.ts";
import type { FedAttention } from "./attention/fed_options.ts";
import { blockNodes } from "./block_nodes.ts";
import { notAttended } from "./block_scope.ts";
import { GraphBuilder } from "./graph_builder.ts";
import { type Capture, captureOutput } from "./layers.ts";
import { fedWeights } from "./weights/fed.ts";

export interface BlockGraphOptions {
  readonly hiddenSize: number;
  readonly norm: Norm;
  /** Of a block that is attended. */
  readonly attention?: FedAttention;
  /**
   * What is captured of the activation that enters the last projection, `[B · T, inner channels]`.
   */
  readonly capture?: Capture;
  /** It reads other hidden states than it adds to: those of `base`. */
  readonly parallel?: boolean;
}

/**
 * A residual block as an ONNX graph that holds no weights.
 *
 * Feeds, float32: `hidden [B, T, H]`, with `parallel` `base [B, T, H]`, the weights of the block by
 * their names, as `laidOutAxes` has them, in any width; and what `fedAttention` says. Fetches: `out
 * [B · T, H]`, with `capture` also `energy [channels]` or `captured [B · T, channels]`.
 */
export function blockGraph(
  block: Block,
  { hiddenSize, norm, attention, capture, parallel }: BlockGraphOptions,
): Uint8Array {
  const g = new GraphBuilder(`${block.kind}_block`);
  const dims = ["B", "T", hiddenSize];
  const hidden = g.input("hidden", "float32", dims);
  const attend = attention ? fedAttention(g, block, hidden, attention) : notAttended(block);
  const scope = { g, block, weights: fedWeights(g, block), norm, attend };
  const rows = (x: string) => g.node("Reshape", [x, g.int64([-1, hiddenSize])]);
  const sum = rows(hidden);
  const read = parallel ? rows(g.input("base", "float32", dims)) : sum;
  const values = blockNodes(scope, { sum, read, hiddenSize });
  g.output("out", values.out, "float32", ["N", hiddenSize]);
  if (capture) captureOutput(g, capture, values.captured, "I");
  // Tokens of a block that is not attended see nothing of one another; energies are sums over all.
  if (capture !== "energy") g.independent(...attention ? ["B"] : ["B", "T"]);
  return g.encode();
}

/**
 * What the graph of a block depends on, apart from the options: blocks with the same key share it.
 */
export function blockGraphKey({ id: _, layer: __, dimensions: ___, ...block }: Block): string {
  return JSON.stringify(block);
}
