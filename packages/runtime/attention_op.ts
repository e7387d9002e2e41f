import type { BackendDescription } from "@lopper/backends";
import type { Architecture } from "@lopper/core";
import type { AttentionOp } from "@lopper/graphs";

/** GroupQueryAttention's rotary kernel takes head sizes that are multiples of this. */
const GQA_HEAD_MULTIPLE = 16;
/**
 * Queries of a chunk of GroupQueryAttention: 9 heads over 2048 tokens were fastest with 256 (of 128
 * to 2048).
 */
export const ATTENTION_CHUNK = 256;

/** The operator that computes attention of a model on a backend. */
export function attentionOpFor(
  architecture: Architecture,
  { attentionOp }: BackendDescription,
): AttentionOp {
  const fits = attentionOp !== "gqa" || architecture.headDim % GQA_HEAD_MULTIPLE === 0;
  return fits ? attentionOp : "attention";
}

/** In how many chunks the queries of a batch of sequences go through attention. */
export function attentionChunks(op: AttentionOp, batch: number, length: number): number {
  // GroupQueryAttention takes a past beside more than one query for a batch of one only.
  const possible = op === "attention" || (op === "gqa" && batch === 1);
  return possible ? Math.max(1, Math.floor(length / ATTENTION_CHUNK)) : 1;
}
