import type { QueryGrowth } from "@lopper/core";
import type { GraphBuilder } from "../graph_builder.ts";

/**
 * Queries `[B, heads, T, D]` as they have grown at their positions, int64 `[B, T]`; as they are
 * without a growth.
 */
export function grownQueries(
  g: GraphBuilder,
  growth: QueryGrowth | undefined,
  queries: string,
  positions: string,
): string {
  if (!growth) return queries;
  const at = g.cast(g.node("Unsqueeze", [positions, g.int64([1, 3])]), "float32");
  const lengths = g.node("Floor", [g.node("Div", [at, g.float32(growth.length)])]);
  const logarithm = g.node("Log", [g.node("Add", [lengths, g.float32(1)])]);
  const grown = g.node("Mul", [logarithm, g.float32(growth.rate)]);
  return g.node("Mul", [queries, g.node("Add", [grown, g.float32(1)])]);
}
