import type { LayersBefore } from "@lopper/card";
import type { Candidate } from "@lopper/core";
import type { RunRecord } from "@lopper/run";

/** What a run took of one layer. */
export interface LayerChange extends LayersBefore {
  readonly layer: number;
  /**
   * Numbers of the steps, from 1, that changed its attention and its MLP, since the last swap that
   * did where there was one; none where no search was recorded.
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
    steps: {
      attention: stepsOf(layer, "attention"),
      mlp: stepsOf(layer, dense.mlp?.experts === undefined ? "mlp" : "experts"),
    },
  }));
}
