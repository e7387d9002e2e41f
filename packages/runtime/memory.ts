import type { BackendDescription } from "@lopper/backends";
import {
  type Architecture,
  type Block,
  headsOf,
  innerWidth,
  parametersOfBlock,
  sizeOf,
  weightShape,
} from "@lopper/core";
import { attentionChunks, attentionOpFor } from "./attention_op.ts";
import { headRows } from "./heads.ts";

const FLOAT_BYTES = 4;
/** What an engine in a thread of its own takes before it computes: its code and compiled graphs. */
const ENGINE_BYTES = 190e6;
/** Tensors of the size of all scores that attention without an operator of its own holds. */
const PLAIN_SCORES = 3;

/**
 * Bytes of the engine's own tensors while `tokens` tokens, sequences of `length` each, run through
 * a model: an estimate from the graphs. The MLP, the attention and the head each keep the memory of
 * their largest run.
 */
export function activationBytes(
  architecture: Architecture,
  backend: BackendDescription,
  { tokens, length }: { readonly tokens: number; readonly length: number },
): number {
  const { hiddenSize, headDim, blocks, vocabSize } = architecture;
  const attended = blocks.filter((block) => block.attention);
  const heads = attended.map((block) => headsOf(block));
  const others = blocks.filter((block) => !block.attention);
  const intermediate = Math.max(0, ...others.map(intermediateWidth));
  const queries = Math.max(0, ...heads.map(({ queryHeads }) => queryHeads));
  const keys = Math.max(0, ...heads.map(({ kvHeads }) => kvHeads));
  // gate, up, sigmoid, SiLU and product; the hidden states, their norm and the result
  const mlp = tokens * (5 * intermediate + 4 * hiddenSize);
  // q, k, v before and after the rotary embedding, the context, the hidden states, their norm and
  // the result
  const attention = tokens * (3 * queries * headDim + 4 * keys * headDim + 4 * hiddenSize);
  const scores = Math.max(
    0,
    ...attended.map((block) => scoreValues(block, backend, { tokens, length })),
  );
  const rows = Math.min(tokens, headRows(vocabSize, backend));
  const head = 2 * rows * vocabSize + 2 * rows * hiddenSize;
  return FLOAT_BYTES * (mlp + attention + scores + head);
}

/** Inner channels of an MLP: of a mixture, those of one expert or of the shared one. */
function intermediateWidth(block: Block): number {
  if (!block.routing) return innerWidth(block, sizeOf(block));
  const rows = block.weights.filter(({ name }) => name === "up" || name === "shared_up")
    .map((weight) => weightShape(weight, sizeOf(block)).at(-2)!);
  return Math.max(...rows);
}

/** Values of what a block makes of every pair of positions. */
function scoreValues(
  block: Block,
  backend: BackendDescription,
  { tokens, length }: { readonly tokens: number; readonly length: number },
): number {
  const op = attentionOpFor(block, backend, length);
  const { queryHeads, kvHeads, headDim } = headsOf(block);
  const chunks = attentionChunks(op, tokens / length, length);
  // Chunks take turns, and each returns the keys and values of all tokens so far. Where no operator
  // does it at once, products, scores and their softmax are values of their own.
  return (op === "plain" ? PLAIN_SCORES : 1) * Math.ceil(length / chunks) * tokens * queryHeads +
    (chunks > 1 ? 4 * tokens * kvHeads * headDim : 0);
}

/**
 * Bytes that engines which share out rows take beside their activations: their threads, and each
 * its copy of the weights of a run, which lie in memory that all share, too.
 */
export function sharedEngineBytes(
  { hiddenSize, vocabSize, blocks }: Architecture,
  { engines }: BackendDescription,
): number {
  if (engines === 1) return 0;
  const inBlocks = blocks.map(largestRun);
  const largest = inBlocks.reduce((most, count) => Math.max(most, count), vocabSize * hiddenSize);
  return engines * ENGINE_BYTES + (engines + 1) * largest * FLOAT_BYTES;
}

/** Parameters of the largest run of a block: of a mixture, of one expert, or of all else. */
function largestRun(block: Block): number {
  const size = sizeOf(block);
  const all = (weights: Block["weights"]) =>
    parametersOfBlock({ ...block, weights }, size, { norms: true });
  const stacked = block.weights.filter((weight) => weight.stacked);
  if (stacked.length === 0) return all(block.weights);
  const [experts] = weightShape(stacked[0], size);
  return Math.max(all(block.weights.filter((weight) => !weight.stacked)), all(stacked) / experts);
}
