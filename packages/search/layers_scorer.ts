import {
  type BlockKind,
  blockNumber,
  type LayerSpec,
  type ModelSpec,
  shapeOfLayers,
} from "@lopper/core";
import type { Score, Scorer } from "@lopper/importance";

/** What is scored: the layers that would remain, and the first block in which they differ from the current plan. */
export interface ScorableLayers {
  readonly layers: readonly LayerSpec[];
  readonly layer: number;
  readonly kind: BlockKind;
}

/** A `Scorer` of models that are described by their layers. */
export interface LayersScorer
  extends Pick<Scorer, "tokens" | "length" | "batches" | "keptBatches" | "release"> {
  fullCost(layers: readonly LayerSpec[]): number;
  evaluate(
    layers: readonly LayerSpec[],
    onProgress?: (tokensDone: number) => void,
  ): Promise<Score>;
  score(
    trunk: readonly LayerSpec[],
    candidate: ScorableLayers | null,
    batch: number,
  ): Promise<readonly number[]>;
  perturbation?(
    trunk: readonly LayerSpec[],
    candidate: ScorableLayers,
    batch: number,
  ): Promise<number>;
  favour(layers: readonly LayerSpec[]): void;
}

/** A scorer of shapes as one of layers. */
export function layersScorer(spec: ModelSpec, scorer: Scorer): LayersScorer {
  const shape = (layers: readonly LayerSpec[]) => shapeOfLayers(spec, layers);
  const scorable = (candidate: ScorableLayers) => ({
    shape: shape(candidate.layers),
    first: blockNumber(spec, candidate),
  });
  const { tokens, length, batches, keptBatches } = scorer;
  return {
    tokens,
    length,
    batches,
    keptBatches,
    fullCost: (layers) => scorer.fullCost(shape(layers)),
    evaluate: (layers, onProgress) => scorer.evaluate(shape(layers), onProgress),
    score: (trunk, candidate, batch) =>
      scorer.score(shape(trunk), candidate && scorable(candidate), batch),
    ...(scorer.perturbation && {
      perturbation: (trunk, candidate, batch) =>
        scorer.perturbation!(shape(trunk), scorable(candidate), batch),
    }),
    favour: (layers) => scorer.favour(shape(layers)),
    release: () => scorer.release(),
  };
}
