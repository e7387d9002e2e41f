import { type Candidate, plural } from "@lopper/core";
import type { LayerSizes } from "@lopper/models";
import type { RunRecord } from "@lopper/run";

/** What a run took of one layer. */
export interface LayerChange {
  readonly layer: number;
  readonly dense: LayerSizes;
  readonly pruned: LayerSizes;
  /**
   * Numbers of the steps, from 1, that changed its attention and its MLP, since the last swap that did where there was one;
   * none where no search was recorded.
   */
  readonly steps: { readonly attention: readonly number[]; readonly mlp: readonly number[] };
}

/** What says which layers there were, and what became of them. */
export interface LayersOfRun extends Pick<RunRecord, "layers" | "swaps"> {
  readonly frontier: readonly Pick<RunRecord["frontier"][number], "changes">[];
}

export function layerChanges({ layers, frontier, swaps }: LayersOfRun): readonly LayerChange[] {
  const isIn = (part: string, { changes }: { readonly changes: Candidate }) =>
    changes.some((change) => change.part === part);
  const stepsOf = (layer: number, kind: string) => {
    const part = `${layer}.${kind}`;
    const swapped = swaps.findLast(({ kept }) => kept.some((swap) => isIn(part, swap)))?.steps ?? 0;
    return frontier.flatMap((step, i) => i >= swapped && isIn(part, step) ? [i + 1] : []);
  };
  return layers.dense.map((dense, layer) => ({
    layer,
    dense,
    pruned: layers.pruned[layer] ?? { attention: null, mlp: null },
    steps: { attention: stepsOf(layer, "attention"), mlp: stepsOf(layer, "mlp") },
  }));
}

/** What went, in whole blocks and in parts of those that stayed. */
export interface Removals {
  readonly attentionBlocks: number;
  readonly mlpBlocks: number;
  /** Intermediate channels of MLPs that stayed, and in how many layers. */
  readonly channels: { readonly count: number; readonly layers: number };
  /** KV groups of attention blocks that stayed, and in how many layers. */
  readonly kvGroups: { readonly count: number; readonly layers: number };
}

export function removedOf(changes: readonly LayerChange[]): Removals {
  const gone = (kind: "attention" | "mlp") =>
    changes.filter(({ dense, pruned }) => dense[kind] && !pruned[kind]).length;
  const parts = (of: (layer: LayerSizes) => number | undefined) => {
    const differences = changes.flatMap(({ dense, pruned }) => {
      const [before, after] = [of(dense), of(pruned)];
      return before !== undefined && after !== undefined && after < before ? [before - after] : [];
    });
    return { count: differences.reduce((a, b) => a + b, 0), layers: differences.length };
  };
  return {
    attentionBlocks: gone("attention"),
    mlpBlocks: gone("mlp"),
    channels: parts(({ mlp }) => mlp?.intermediateSize),
    kvGroups: parts(({ attention }) => attention?.kvHeads),
  };
}

/** "3 whole blocks (1 attention, 2 MLP), 704 MLP channels in 5 layers and 1 KV group in 1 layer". */
export function describeRemoved(
  { attentionBlocks, mlpBlocks, channels, kvGroups }: Removals,
): string {
  const blocks = attentionBlocks + mlpBlocks;
  const kinds = [
    ...(attentionBlocks > 0 ? [`${attentionBlocks} attention`] : []),
    ...(mlpBlocks > 0 ? [`${mlpBlocks} MLP`] : []),
  ].join(", ");
  const parts = [
    ...(blocks > 0 ? [`${plural(blocks, "whole block")} (${kinds})`] : []),
    ...(channels.count > 0
      ? [`${plural(channels.count, "MLP channel")} in ${plural(channels.layers, "layer")}`]
      : []),
    ...(kvGroups.count > 0
      ? [`${plural(kvGroups.count, "KV group")} in ${plural(kvGroups.layers, "layer")}`]
      : []),
  ];
  if (parts.length === 0) return "nothing";
  return parts.length === 1 ? parts[0] : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}
