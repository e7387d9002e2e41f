import type { BackendDescription } from "@lopper/backends";
import { type Architecture, headsOf, innerWidth, sizeOf } from "@lopper/core";
import { attentionChunks, attentionOpFor } from "./attention_op.ts";
import { HEAD_CHUNK_VALUES } from "./heads.ts";

const FLOAT_BYTES = 4;

/**
 * Bytes of the engine's own tensors while `tokens` tokens, sequences of `length` each, run through a model: an estimate
 * from the graphs. The MLP, the attention and the head each keep the memory of their largest run.
 */
export function activationBytes(
  architecture: Architecture,
  backend: BackendDescription,
  { tokens, length }: { readonly tokens: number; readonly length: number },
): number {
  const { hiddenSize, headDim, blocks, vocabSize } = architecture;
  const attended = blocks.filter((block) => block.attended);
  const heads = attended.map((block) => headsOf(block));
  const others = blocks.filter((block) => !block.attended);
  const intermediate = Math.max(0, ...others.map((block) => innerWidth(block, sizeOf(block))));
  const queries = Math.max(0, ...heads.map(({ queryHeads }) => queryHeads));
  const keys = Math.max(0, ...heads.map(({ kvHeads }) => kvHeads));
  // gate, up, sigmoid, SiLU and product; the hidden states, their norm and the result
  const mlp = tokens * (5 * intermediate + 4 * hiddenSize);
  // q, k, v before and after the rotary embedding, the context, the hidden states, their norm and the result
  const attention = tokens * (3 * queries * headDim + 4 * keys * headDim + 4 * hiddenSize);
  // of every pair of positions; chunks take turns, and each returns the keys and values of all tokens so far
  const chunks = attentionChunks(attentionOpFor(architecture, backend), tokens / length, length);
  const scores = Math.ceil(length / chunks) * tokens * queries +
    (chunks > 1 ? 4 * tokens * keys * headDim : 0);
  const rows = Math.min(tokens, Math.max(64, Math.floor(HEAD_CHUNK_VALUES / vocabSize)));
  const head = 2 * rows * vocabSize + 2 * rows * hiddenSize;
  return FLOAT_BYTES * (mlp + attention + scores + head);
}
