import { type Attention, type Block, haveWeight, headsOf } from "@lopper/core";
import type { AttentionOp } from "./fed_options.ts";
import { rotatedChannels } from "./rotation.ts";

/** GroupQueryAttention's rotary kernel takes head sizes that are multiples of this. */
const GQA_HEAD_MULTIPLE = 16;
/** And rotates so many channels at a time. */
const GQA_ROTARY_MULTIPLE = 16;

/**
 * What of a block's attention an operator has no way to compute, in a few words; null where it
 * computes all. `plain` lacks nothing.
 */
export function operatorLacks(op: AttentionOp, block: Block): string | null {
  if (op === "plain") return null;
  if (haveWeight([block], "slopes")) return "slopes by distance (ALiBi)";
  if (op === "attention") return haveWeight([block], "sinks") ? "attention sinks" : null;
  const { headDim } = headsOf(block);
  if (headDim % GQA_HEAD_MULTIPLE !== 0) return `heads of ${headDim} channels`;
  const rotated = rotatedIn(block.attention!, headDim);
  if (rotated % GQA_ROTARY_MULTIPLE !== 0) return `a rotation of ${rotated} channels`;
  if (block.attention!.normAfterRotation) return "norms behind the rotation";
  return block.attention!.queryGrowth ? "queries that grow" : null;
}

/** The same where weights are resident: ONNX's Attention caps scores on no GPU. */
export function residentOperatorLacks(op: AttentionOp, block: Block): string | null {
  const capped = op !== "plain" && block.attention!.softCap !== null;
  return operatorLacks(op, block) ?? (capped ? "capped scores" : null);
}

function rotatedIn({ rope }: Attention, headDim: number): number {
  return rope ? rotatedChannels(rope, headDim) : 0;
}
