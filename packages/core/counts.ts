import {
  type Block,
  denseShape,
  macsOfBlock,
  parametersOfBlock,
  type Shape,
  sizeOf,
} from "./block.ts";
import type { Architecture, OuterPart } from "./architecture.ts";

/**
 * Parameters of a model by part; each weight is counted once (a tied LM head belongs to
 * `embedding`).
 */
export interface ParameterCounts {
  readonly embedding: number;
  readonly lmHead: number;
  /** By kind of block, without their norms. */
  readonly blocks: Readonly<Record<string, number>>;
  readonly norms: number;
  readonly total: number;
}

/**
 * Parameters of what is left of a model.
 *
 * `norms: "kept"` counts the norm of a removed block, as the published implementation does for its
 * pruning ratio; `norms: "dropped"` counts what a pruned checkpoint stores.
 */
export function countParameters(
  architecture: Architecture,
  shape: Shape = denseShape(architecture.blocks),
  options: { norms: "kept" | "dropped" } = { norms: "dropped" },
): ParameterCounts {
  const { hiddenSize, vocabSize, tiedEmbeddings, blocks } = architecture;
  const byKind: Record<string, number> = {};
  const outer = outerParameters(architecture);
  let norms = outer.norms, inBlocks = 0;
  for (const [number, block] of blocks.entries()) {
    const size = shape[number];
    const isThere = (n: number) => options.norms === "kept" || shape[n] !== null;
    const before = blocks[number - 1]?.layer === block.layer && isThere(number - 1);
    if (isThere(number)) norms += normParameters(block, before);
    byKind[block.kind] ??= 0;
    if (!size) continue;
    const parameters = parametersOfBlock(block, size, { norms: false });
    byKind[block.kind] += parameters;
    inBlocks += parameters;
  }
  const embedding = vocabSize * hiddenSize + outer.positions;
  const lmHead = (tiedEmbeddings ? 0 : vocabSize * hiddenSize) + outer.lmHeadBias;
  return {
    embedding,
    lmHead,
    blocks: byKind,
    norms,
    total: embedding + lmHead + inBlocks + norms,
  };
}

/** Of what scales hidden states: it does not get smaller with the block. */
function normParameters(block: Block, sharedBefore: boolean): number {
  const weights = block.weights.filter(({ shared }) => !(shared && sharedBefore));
  const own = { ...block, weights };
  const size = sizeOf(block);
  return parametersOfBlock(own, size, { norms: true }) -
    parametersOfBlock(own, size, { norms: false });
}

/** Of what is neither in a block nor a matrix of all tokens. */
function outerParameters({ hiddenSize, vocabSize, maxPositions, outer, scaling }: Architecture) {
  const count = (part: OuterPart, values: number) => outer.includes(part) ? values : 0;
  return {
    norms: count("finalNorm", hiddenSize) + count("finalNormBias", hiddenSize),
    positions: count("positions", (maxPositions + (scaling?.positionOffset ?? 0)) * hiddenSize),
    lmHeadBias: count("lmHeadBias", vocabSize),
  };
}

/**
 * Pruning ratio in per cent as published: 100 · (1 − parameters now / parameters of
 * `architecture`), norms kept.
 */
export function pruningRatio(architecture: Architecture, shape: Shape): number {
  const total = (of?: Shape) => countParameters(architecture, of, { norms: "kept" }).total;
  return (1 - total(shape) / total()) * 100;
}

/**
 * What the head (final norm, LM head, NLL) costs in blocks: its MACs per token over the mean MACs
 * of a block of the dense model. Block-tokens use it, so that one number covers a whole forward
 * pass.
 */
export function headCostInBlocks(architecture: Architecture, length: number): number {
  const count = architecture.blocks.length;
  return count === 0 ? 1 : headMacs(architecture) / (blockMacs(architecture, length) / count);
}

/**
 * Multiply-accumulates per token of a whole model, LM head included, in a causal sequence of
 * `length` tokens.
 */
export function modelMacs(architecture: Architecture, length: number): number {
  return blockMacs(architecture, length) + headMacs(architecture);
}

function blockMacs({ blocks }: Architecture, length: number): number {
  return blocks.reduce((sum, block) => sum + macsOfBlock(block, sizeOf(block), length), 0);
}

function headMacs({ vocabSize, hiddenSize }: Architecture): number {
  return vocabSize * hiddenSize;
}
