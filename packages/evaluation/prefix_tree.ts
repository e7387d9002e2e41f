import type { TokenRequest } from "./encode.ts";

/** The token that is to follow a node, for one request. */
export interface Prediction {
  /** Number of the request among those of the tree. */
  readonly request: number;
  readonly node: number;
  readonly token: number;
}

/**
 * The requests of one question as a tree of token prefixes. A prefix that several of them share is
 * one node, which runs once: the context of all answers, and beginnings that answers have in
 * common.
 */
export interface PrefixTree {
  /** Token of each node; parents come before their children. */
  readonly tokens: readonly number[];
  /** Parent of each node, or -1. */
  readonly parents: readonly number[];
  /** Position of each node in its sequences, from 0. */
  readonly positions: readonly number[];
  /** No two requests part: the tree is a plain sequence. */
  readonly chain: boolean;
  /** In the order of the nodes. */
  readonly predictions: readonly Prediction[];
}

/** The last token of a request is only predicted, so it is no node. */
export function prefixTree(requests: readonly TokenRequest[]): PrefixTree {
  const tokens: number[] = [], parents: number[] = [], positions: number[] = [];
  const children = new Map<string, number>();
  const predictions: Prediction[] = [];
  let chain = true;
  requests.forEach(({ tokens: ids, scored }, request) => {
    let node = -1;
    for (let i = 0; i < ids.length; i++) {
      if (i >= ids.length - scored) predictions.push({ request, node, token: ids[i] });
      if (i === ids.length - 1) break;
      const key = `${node} ${ids[i]}`;
      let child = children.get(key);
      if (child === undefined) {
        child = tokens.length;
        if (child - 1 !== node) chain = false;
        children.set(key, child);
        tokens.push(ids[i]);
        parents.push(node);
        positions.push(i);
      }
      node = child;
    }
  });
  predictions.sort((a, b) => a.node - b.node);
  return { tokens, parents, positions, chain, predictions };
}

/**
 * What the nodes of a tree see: themselves and those above them, with a window only so many of the
 * last. Written into a `[length, length]` part of a mask that hides everything with `hidden`.
 */
export function writeMask(
  { parents }: PrefixTree,
  window: number | null,
  mask: Float32Array,
  length: number,
) {
  parents.forEach((_, node) => {
    let left = window ?? Infinity;
    for (let seen = node; seen >= 0 && left > 0; seen = parents[seen], left--) {
      mask[node * length + seen] = 0;
    }
  });
}
