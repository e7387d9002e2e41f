import type { Rope } from "@lopper/core";
import type { GraphBuilder } from "../graph_builder.ts";

/** Channels of a head that are rotated. */
export function rotatedChannels({ channels }: Rope, headDim: number): number {
  return channels ?? headDim;
}

/** Adds the operator that rotates all channels of `[B, heads, T, channels]`. */
export type Rotate = (x: string, attributes: Readonly<Record<string, number>>) => string;

/**
 * Rotates the first channels of heads `[B, heads, T, D]`; those behind them stay as they are.
 */
export function rotated(
  g: GraphBuilder,
  rope: Rope,
  headDim: number,
  x: string,
  rotate: Rotate,
): string {
  const attributes: Record<string, number> = rope.pairs === "neighbours" ? { interleaved: 1 } : {};
  const channels = rotatedChannels(rope, headDim);
  if (channels === headDim) return rotate(x, attributes);
  // Operators have an attribute for that, which not all engines read alike.
  const sizes = g.int64([channels, headDim - channels]);
  const [first, rest] = g.nodes("Split", [x, sizes], 2, { axis: 3 });
  return g.node("Concat", [rotate(first, attributes), rest], { axis: 3 });
}
