import { type BackendDescription, type Feeds, float32, int32, int64 } from "@lopper/backends";
import { type Architecture, type Block, type BlockSize, headsOf, ropeKey } from "@lopper/core";
import type { AttentionOp, FedAttention } from "@lopper/graphs";
import { attentionChunks, attentionOpFor } from "./attention_op.ts";
import { RotaryFeeds } from "./rope.ts";
import type { AttentionMask, HiddenStates, KeyValues } from "./hidden_states.ts";

/**
 * How tokens see one another: by what kind of graph, and what it is fed beside hidden states and
 * weights.
 */
export interface AttentionRun {
  readonly attention: FedAttention;
  readonly feeds: Feeds;
  /** Tokens of each sequence whose keys there are, those of its past included. */
  readonly total: number;
}

/**
 * What blocks that are attended are fed of the tokens: positions, rotary tables, masks and earlier
 * keys and values.
 */
export class TokenFeeds {
  readonly #architecture: Architecture;
  readonly #backend: BackendDescription;
  readonly #rotaries = new Map<string, RotaryFeeds>();

  constructor(architecture: Architecture, backend: BackendDescription) {
    this.#architecture = architecture;
    this.#backend = backend;
  }

  /** Causal attention of tokens that follow `past`; without it, of whole sequences. */
  causal(
    block: Block,
    size: BlockSize,
    { batch, length }: HiddenStates,
    past: KeyValues | null,
  ): AttentionRun {
    const total = (past?.length ?? 0) + length;
    const { window, queryGrowth } = block.attention!;
    const op = attentionOpFor(block, this.#backend, total);
    const attention: FedAttention = {
      op,
      // GroupQueryAttention's head counts are attributes, so each count needs a graph of its own.
      ...(op === "gqa" && { size }),
      ...(past ? { kvCache: true } : { chunks: attentionChunks(op, batch, length) }),
      ...(window !== null && total > window && { windowed: true }),
      ...(queryGrowth && total > queryGrowth.length && { grown: true }),
    };
    const feeds = {
      ...positionFeeds(op, batch, length, total),
      ...(past && pastFeeds(past, batch, headsOf(block, size))),
      ...this.#rotaryFeeds(block, total, total),
    };
    return { attention, feeds, total };
  }

  /** Attention in which tokens attend to what `mask` says. */
  within(
    block: Block,
    { batch, length }: HiddenStates,
    { positions, values }: AttentionMask,
  ): AttentionRun {
    const reached = positions.reduce((most, p) => Math.max(most, p + 1), 0);
    const feeds = {
      positions: int64(positions, [batch, length]),
      mask: float32(values, [batch, 1, length, length]),
      // The operator wants a row of the table for each token, even where positions repeat.
      ...this.#rotaryFeeds(block, Math.max(reached, length), reached),
    };
    const grown = reached > (block.attention!.queryGrowth?.length ?? Infinity);
    const how = { op: "plain", masked: true, ...(grown && { grown }) } as const;
    return { attention: how, feeds, total: length };
  }

  #rotaryFeeds({ attention }: Block, positions: number, length: number): Feeds {
    if (!attention?.rope) return {};
    const key = ropeKey(attention.rope);
    const rotary = this.#rotaries.get(key) ??
      new RotaryFeeds(attention.rope, this.#architecture.headDim);
    this.#rotaries.set(key, rotary);
    return { ...rotary.of(positions, length) };
  }
}

function pastFeeds(
  { length, keys, values }: KeyValues,
  batch: number,
  { kvHeads, headDim }: { readonly kvHeads: number; readonly headDim: number },
): Feeds {
  const shape = [batch, kvHeads, length, headDim];
  return { past_key: float32(keys, shape), past_value: float32(values, shape) };
}

/**
 * Where the last `length` of `total` tokens of each sequence stand, as an operator wants to hear
 * it.
 */
function positionFeeds(op: AttentionOp, batch: number, length: number, total: number): Feeds {
  if (op === "gqa") {
    return {
      seqlens: int32(new Array(batch).fill(total - 1), [batch]),
      total: int32([total], [1]),
    };
  }
  const positions = Array.from(
    { length: batch * length },
    (_, i) => total - length + i % length,
  );
  return { positions: int64(positions, [batch, length]) };
}
