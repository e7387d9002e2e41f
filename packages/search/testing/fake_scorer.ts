import type { Architecture, Shape } from "@lopper/core";
import type { Score } from "@lopper/importance";
import type { Scorable, Scorer } from "@lopper/importance";
import type { LayerSizes } from "@lopper/models";
import { layersOfShape } from "@lopper/models/testing";

/**
 * Loss of what remains, in nats per token, on one sequence.
 * @param candidate that is scored, or null for the base plan or a whole model.
 */
export type Loss = (
  shape: Shape,
  sequence: number,
  candidate?: Scorable | null,
) => number;

/** The same by the layers of a model. */
export type LayerLoss = (
  layers: readonly LayerSizes[],
  sequence: number,
  candidate?: Scorable | null,
) => number;

export function byLayers(architecture: Architecture, loss: LayerLoss): Loss {
  // A shape is asked for once a sequence, and to say its layers takes longer than most losses.
  const known = new WeakMap<Shape, readonly LayerSizes[]>();
  return (shape, sequence, candidate) => {
    const layers = known.get(shape) ?? layersOfShape(architecture, shape);
    known.set(shape, layers);
    return loss(layers, sequence, candidate);
  };
}

export interface FakeScorerOptions {
  /** The sequences of each batch. */
  readonly batches?: readonly (readonly number[])[];
  readonly keptBatches?: number;
  /** How far a candidate moves the output of its block; without it, the scorer cannot tell. */
  readonly perturbation?: (candidate: Scorable, base: Shape) => number;
}

const TOKENS = 10;

/** Scores by a function of what remains, and counts what it was asked for. */
export class FakeScorer implements Scorer {
  readonly length = TOKENS;
  readonly tokens: number;
  readonly batches: readonly (readonly number[])[];
  readonly keptBatches: number;
  readonly perturbation?: NonNullable<Scorer["perturbation"]>;
  /** Sequences that were scored. */
  scored = 0;
  /** Whole models that were scored. */
  evaluations = 0;
  perturbations = 0;
  releases = 0;
  /** What was favoured last. */
  favoured: Shape | null = null;
  /** By batch, what it was told to expect and was not asked for yet. */
  readonly #expected = new Map<number, Set<Scorable | null>>();
  readonly #loss: Loss;

  constructor(loss: Loss, options: FakeScorerOptions = {}) {
    const { batches = [[0, 3], [1, 7], [2, 5], [4, 6]], keptBatches = 2, perturbation } = options;
    this.#loss = loss;
    this.batches = batches;
    this.keptBatches = keptBatches;
    this.tokens = TOKENS * batches.flat().length;
    if (!perturbation) return;
    this.perturbation = (base, candidate) => {
      this.perturbations += 1;
      return Promise.resolve(perturbation(candidate, base));
    };
  }

  /** How much it was told to expect that it was never asked for. */
  get unasked(): number {
    return [...this.#expected.values()].reduce((sum, { size }) => sum + size, 0);
  }

  expect(
    _base: Shape,
    candidates: readonly (Scorable | null)[],
    batch: number,
    what: "score" | "perturbation",
  ) {
    if (what !== "score") return;
    const expected = this.#expected.get(batch) ?? new Set();
    this.#expected.set(batch, expected);
    for (const candidate of candidates) expected.add(candidate);
  }

  fullCost(shape: Shape): number {
    return shape.length;
  }

  favour(shape: Shape) {
    this.favoured = shape;
  }

  release() {
    this.releases += 1;
  }

  evaluate(shape: Shape, onProgress?: (tokens: number) => void): Promise<Score> {
    this.evaluations += 1;
    const sequences = this.batches.flat().sort((a, b) => a - b);
    this.scored += sequences.length;
    onProgress?.(this.tokens);
    const sequenceNll = sequences.map((s) => this.#loss(shape, s, null));
    return Promise.resolve({ sequenceNll, perplexity: NaN });
  }

  score(base: Shape, candidate: Scorable | null, batch: number) {
    const sequences = this.batches[batch];
    this.#expected.get(batch)?.delete(candidate);
    this.scored += sequences.length;
    const shape = candidate?.shape ?? base;
    return Promise.resolve(sequences.map((s) => this.#loss(shape, s, candidate)));
  }
}
