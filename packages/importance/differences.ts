import { blockAt, type LayerSpec } from "@lopper/core";
import { blockCount } from "@lopper/runtime";

/** The first block in which two plans of one model differ; the number of blocks when they are the same. */
export function firstDifference(a: readonly LayerSpec[], b: readonly LayerSpec[]): number {
  for (let block = 0; block < blockCount(a); block++) if (differs(block, a, b)) return block;
  return blockCount(a);
}

/** The last such block; −1 when they are the same. */
export function lastDifference(a: readonly LayerSpec[], b: readonly LayerSpec[]): number {
  for (let block = blockCount(a) - 1; block >= 0; block--) if (differs(block, a, b)) return block;
  return -1;
}

function differs(block: number, a: readonly LayerSpec[], b: readonly LayerSpec[]): boolean {
  const { layer, kind } = blockAt(block);
  return kind === "attention"
    ? a[layer].attention?.kvHeads !== b[layer].attention?.kvHeads
    : a[layer].mlp?.intermediateSize !== b[layer].mlp?.intermediateSize;
}
