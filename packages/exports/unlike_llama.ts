import {
  type Architecture,
  type Attention,
  type Block,
  haveWeight,
  shapeOfWeight,
} from "@lopper/core";
import type { GgufArchitecture } from "@lopper/models";

/**
 * What a model computes that a Llama does not, in words; null for nothing. Formats for layers that
 * differ in shape (DeciLM's, and llama.cpp's) were made for models that are nearly Llamas, and
 * their readers would compute something else without a word.
 * @param beside what the format has beside a Llama's blocks, where it is llama.cpp's: its files
 *   hold gains of norms as they count, and which channels are rotated together is its
 *   architecture's.
 */
export function unlikeLlama(
  { norm, outer, scaling, blocks, headDim }: Pick<
    Architecture,
    "norm" | "outer" | "scaling" | "blocks" | "headDim"
  >,
  beside?: GgufArchitecture["beside"],
): string | null {
  if (blocks.some(({ placement }) => placement !== undefined)) return "norms behind its blocks";
  const isPlain = norm.kind === "rms" || beside !== undefined && norm.kind === "rms1p";
  if (!isPlain) return "norms of another kind";
  if (scaling || outer.some((part) => part !== "finalNorm")) {
    return "more around its blocks than an embedding, a norm and a head";
  }
  if (blocks.some(({ kind }) => kind === "experts")) return "experts";
  const normed = blocks.some((block) => hasNorms(block, headDim, beside));
  if (normed) return "norms of queries and keys";
  if (blocks.some(({ attention }) => attention?.normAfterRotation)) {
    return "norms of queries and keys behind the rotation";
  }
  if (haveWeight(blocks, "slopes")) return "scores that fall by distance";
  if (beside !== "biases" && blocks.some(hasBias)) return "biases";
  if (blocks.some(isOtherBlock)) return "blocks that are put together in another way";
  const attended = blocks.flatMap(({ attention }) => attention ?? []);
  const other = attended.map((attention) => unlikeAttention(attention, headDim, beside));
  return other.find((what) => what !== null) ??
    (isOne(attended) ? null : "layers that rotate in different ways");
}

/** Whether queries and keys have norms, but for those that the format has. */
function hasNorms(block: Block, headDim: number, beside: GgufArchitecture["beside"]): boolean {
  if (!haveWeight([block], "q_norm")) return false;
  return beside !== "norms of heads" || shapeOfWeight(block, "q_norm")[0] !== headDim;
}

const hasBias = ({ weights }: Block) => weights.some(({ name }) => name.endsWith("_bias"));

function isOtherBlock(block: Block): boolean {
  const { attention, activation = "silu", multiplier = 1, parallel } = block;
  const gated = attention !== undefined || haveWeight([block], "gate");
  return activation !== "silu" || multiplier !== 1 || parallel === true || !gated;
}

/** What attention is otherwise than a Llama's, in words; null for nothing. */
function unlikeAttention(
  { rope, scale, softCap }: Attention,
  headDim: number,
  beside: GgufArchitecture["beside"],
): string | null {
  if (!rope) return "layers that rotate nothing";
  if (Math.abs(scale * Math.sqrt(headDim) - 1) > 1e-6) return "scores on a scale of its own";
  if (softCap !== null) return "scores with a cap";
  if (rope.channels !== undefined) return "heads of which a part is rotated";
  return beside === undefined && rope.pairs !== undefined
    ? "neighbouring channels that are rotated together"
    : null;
}

/** All layers rotate alike. */
function isOne(attended: readonly Attention[]): boolean {
  return new Set(attended.map(({ rope }) => JSON.stringify(rope))).size <= 1;
}
