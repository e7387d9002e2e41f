import type { GraphBuilder } from "../graph_builder.ts";

export interface Chunks {
  readonly chunks: number;
  /** Of the tokens. */
  readonly axis: number;
  /** Earlier tokens that a chunk is given; null for all. */
  readonly past: number | null;
}

/**
 * Attention of queries in chunks, each with the keys and values of the earlier ones as its past.
 * @param attend context, keys and values so far, of a part of q, k and v and of what was before.
 */
export function inChunks(
  g: GraphBuilder,
  qkv: readonly string[],
  { chunks, axis, past: kept }: Chunks,
  attend: (part: readonly string[], past: readonly string[]) => readonly string[],
): string {
  const parts = qkv.map((x) => g.nodes("Split", [x], chunks, { axis, num_outputs: chunks }));
  const lastOf = (x: string) =>
    kept === null ? x : g.node("Slice", [
      ...[x, g.int64([-kept]), g.int64([2 ** 31 - 1])],
      g.int64([axis]),
    ]);
  const contexts: string[] = [];
  let past: readonly string[] = ["", ""];
  for (let i = 0; i < chunks; i++) {
    const [context, ...present] = attend(parts.map((part) => part[i]), past);
    contexts.push(context);
    past = present.map(lastOf);
  }
  return g.node("Concat", contexts, { axis });
}
