import type { LayerSpec } from "@lopper/core";
import type { Score } from "@lopper/importance";
import type { LayersScorer, ScorableLayers } from "../layers_scorer.ts";

/**
 * Loss of what remains, in nats per token, on one sequence.
 * @param candidate that is scored, or null for the trunk or a whole model.
 */
export type Loss = (
  layers: readonly LayerSpec[],
  sequence: number,
  candidate?: ScorableLayers | null,
) => number;

export interface FakeScorerOptions {
  /** The sequences of each batch. */
  readonly batches?: readonly (readonly number[])[];
  readonly keptBatches?: number;
  /** How far a candidate moves the output of its block; without it, the scorer cannot tell. */
  readonly perturbation?: (candidate: ScorableLayers, trunk: readonly LayerSpec[]) => number;
}

const TOKENS = 10;

/** Scores by a function of what remains, and counts what it was asked for. */
export class FakeScorer implements LayersScorer {
  readonly length = TOKENS;
  readonly tokens: number;
  readonly batches: readonly (readonly number[])[];
  readonly keptBatches: number;
  readonly perturbation?: NonNullable<LayersScorer["perturbation"]>;
  /** Sequences that were scored. */
  scored = 0;
  /** Whole models that were scored. */
  evaluations = 0;
  perturbations = 0;
  releases = 0;
  /** What was favoured last. */
  favoured: readonly LayerSpec[] | null = null;
  readonly #loss: Loss;

  constructor(loss: Loss, options: FakeScorerOptions = {}) {
    const { batches = [[0, 3], [1, 7], [2, 5], [4, 6]], keptBatches = 2, perturbation } = options;
    this.#loss = loss;
    this.batches = batches;
    this.keptBatches = keptBatches;
    this.tokens = TOKENS * batches.flat().length;
    if (!perturbation) return;
    this.perturbation = (trunk, candidate) => {
      this.perturbations += 1;
      return Promise.resolve(perturbation(candidate, trunk));
    };
  }

  fullCost(layers: readonly LayerSpec[]): number {
    return layers.length;
  }

  favour(layers: readonly LayerSpec[]) {
    this.favoured = layers;
  }

  release() {
    this.releases += 1;
  }

  evaluate(layers: readonly LayerSpec[], onProgress?: (tokens: number) => void): Promise<Score> {
    this.evaluations += 1;
    const sequences = this.batches.flat().sort((a, b) => a - b);
    this.scored += sequences.length;
    onProgress?.(this.tokens);
    const sequenceNll = sequences.map((s) => this.#loss(layers, s, null));
    return Promise.resolve({ sequenceNll, perplexity: NaN });
  }

  score(trunk: readonly LayerSpec[], candidate: ScorableLayers | null, batch: number) {
    const sequences = this.batches[batch];
    this.scored += sequences.length;
    const layers = candidate?.layers ?? trunk;
    return Promise.resolve(sequences.map((s) => this.#loss(layers, s, candidate)));
  }
}
