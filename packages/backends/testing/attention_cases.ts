import { type Block, type DeclaredWeight, groupSize, headsOf } from "@lopper/core";
import type { ArchitectureChange } from "@lopper/models/testing";
import { BIASED, HIDDEN } from "./blocks.ts";

/** A block that is attended, as a test wants it. */
export interface AttentionCase {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly variety?: ArchitectureChange;
  /** What no model of Llama's family has. */
  readonly change?: (block: Block) => Block;
}

type Seen = ArchitectureChange["attention"];

const DIMENSION = "kvGroups";
const THETA = { theta: 10_000, scaling: null };

/** Two KV heads of two query heads each. */
function grouped(attention: Seen, change?: AttentionCase["change"]): AttentionCase {
  return { queryHeads: 4, kvHeads: 2, variety: { attention }, change };
}

/** Adds a weight whose first axis goes with the query heads of a KV head. */
function withWeight(name: string, kind: "heads" | "channels", columns?: number) {
  return (block: Block): Block => {
    const heads = headsOf(block);
    const width = groupSize(heads) * (kind === "heads" ? 1 : heads.headDim);
    const axes = [{ dimension: DIMENSION, width }, ...columns === undefined ? [] : [columns]];
    const added: DeclaredWeight = { name, axes };
    return { ...block, weights: [...block.weights, added] };
  };
}

/** Norms of queries and keys with a weight for each channel of all heads, over each head. */
function withOwnNorms(block: Block): Block {
  const heads = headsOf(block);
  const along = (width: number) => [{ dimension: DIMENSION, width }];
  const attention = { ...block.attention!, normByHead: true as const };
  const norms = [
    { name: "q_norm", axes: along(groupSize(heads) * heads.headDim) },
    { name: "k_norm", axes: along(heads.headDim) },
  ];
  return { ...block, attention, weights: [...block.weights, ...norms] };
}

export const ATTENTIONS: Readonly<Record<string, AttentionCase>> = {
  "grouped heads": { queryHeads: 6, kvHeads: 2 },
  "one KV head": { queryHeads: 4, kvHeads: 1 },
  "as many KV heads as query heads": { queryHeads: 3, kvHeads: 3 },
  "biases": { queryHeads: 4, kvHeads: 2, variety: BIASED },
  "q/k norms by head": { queryHeads: 4, kvHeads: 2, variety: { qkNorm: true } },
  "q/k norms over all heads": { queryHeads: 4, kvHeads: 2, variety: { qkNorm: "full" } },
  "q/k norms of its own for each head": grouped({}, withOwnNorms),
  "q/k norms behind the rotation": {
    ...{ queryHeads: 4, kvHeads: 2 },
    variety: { qkNorm: true, attention: { normAfterRotation: true } },
  },
  "its norm behind it": { queryHeads: 4, kvHeads: 2, variety: { placement: "post" } },
  "a window of 4": grouped({ window: 4 }),
  "a window of 1": grouped({ window: 1 }),
  "a scale of its own": grouped({ scale: 0.7 }),
  "capped scores": grouped({ softCap: 0.2 }),
  "no rotation": grouped({ rope: null }),
  "half of a head rotated": {
    ...{ queryHeads: 4, kvHeads: 2 },
    variety: { headDim: 32, attention: { rope: { ...THETA, channels: 16 } } },
  },
  "a small part rotated": grouped({ rope: { ...THETA, channels: 6 } }),
  "neighbours rotated": grouped({ rope: { ...THETA, pairs: "neighbours" } }),
  "neighbours of a part rotated": grouped({ rope: { ...THETA, channels: 6, pairs: "neighbours" } }),
  "clipped queries, keys and values": grouped({ clip: 0.3 }),
  "queries that grow from token 4 on": grouped({ queryGrowth: { rate: 0.7, length: 4 } }),
  "sinks": grouped({}, withWeight("sinks", "heads")),
  "a gate on what it puts out": grouped({}, withWeight("output_gate", "channels", HIDDEN)),
  "slopes by distance": grouped({ rope: null }, withWeight("slopes", "heads")),
  "much at once": grouped(
    { window: 4, scale: 0.4, softCap: 0.3, rope: { ...THETA, pairs: "neighbours" } },
    withWeight("sinks", "heads"),
  ),
};

/** Those that are computed otherwise with a cache, in chunks or with a mask. */
export const CACHED = [
  "grouped heads",
  "a window of 4",
  "a scale of its own",
  "capped scores",
  "no rotation",
  "a small part rotated",
  "neighbours rotated",
  "q/k norms behind the rotation",
  "sinks",
  "slopes by distance",
  "much at once",
] as const;
