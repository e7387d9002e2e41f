import { type Block, headsOf } from "@lopper/core";
import type { Attend } from "../block_scope.ts";
import type { GraphBuilder } from "../graph_builder.ts";
import type { FedContext } from "./fed_context.ts";
import type { FedAttention } from "./fed_options.ts";
import { groupQueryAttention } from "./group_query_attention.ts";
import { separateAttention } from "./separate_attention.ts";

/**
 * Attention of `hidden [B, T, H]`. Declares feeds as it is used, float32 unless said: where the
 * block rotates, `cos` and `sin [P, C/2]` of the C rotated channels; for `gqa` `seqlens int32 [B]`
 * (last position of each row, past included) and `total int32 [1]` (past + T), unless it has
 * chunks; for the others, where the block rotates, `positions int64 [B, T]`; with `masked` `mask
 * [B, 1, T, T]`, which is added to the scores; with `kvCache` `past_key` and `past_value [B,
 * kvHeads, S, D]`, and the fetches `present_key` and `present_value`.
 */
export function fedAttention(
  g: GraphBuilder,
  block: Block,
  hidden: string,
  options: FedAttention,
): Attend {
  return (inputs) => {
    const attention = block.attention!;
    const context: FedContext = {
      ...{ g, options, attention },
      heads: headsOf(block, options.size),
      window: options.windowed ? attention.window : null,
      batchAndLength: g.node("Shape", [hidden], { start: 0, end: 2 }),
    };
    return options.op === "gqa"
      ? groupQueryAttention(context, inputs)
      : separateAttention(context, inputs);
  };
}
