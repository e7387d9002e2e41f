import type { Architecture } from "@lopper/core";
import type { GraphBuilder } from "./graph_builder.ts";

/** Rows of tables that tokens read, as values of a graph, `[B, T, H]`. */
export interface EmbeddingRows {
  readonly rows: string;
  /** Of the learned positions, where the model has some. */
  readonly positions?: string;
}

/** Adds what enters the first block: rows of the embedding, scaled, and those of positions. */
export function embeddedNodes(
  g: GraphBuilder,
  { scaling = {} }: Pick<Architecture, "scaling">,
  { rows, positions }: EmbeddingRows,
): string {
  const scaled = scaling.embedding === undefined
    ? rows
    : g.node("Mul", [rows, g.float32(scaling.embedding)]);
  return positions === undefined ? scaled : g.node("Add", [scaled, positions]);
}
