import type { Shape } from "@lopper/core";
import { perplexity } from "@lopper/importance";
import { type Cost, costBetween, NO_COST, sumOfCosts } from "./cost.ts";
import type { Proposal } from "./proposal.ts";
import type { Scorer } from "@lopper/importance";
import type { Evidence } from "./journal_lines.ts";

/**
 * What happens while a step is scored: news for the journal, or tokens scored (of one candidate).
 */
export type ScoreEvent = Evidence | { readonly type: "tokens"; readonly tokens: number };

/** Mean NLL of sequences in nats per token, by the number of the sequence; a gap was not scored. */
export type SequenceNll = readonly (number | undefined)[];

export interface StepScoresOptions {
  readonly step: number;
  readonly base: Shape;
  readonly candidates: readonly Proposal[];
  readonly scorer: Scorer;
  /**
   * What a nat of each candidate's loss increase counts, where candidates compete that remove
   * unlike amounts; without it they compare by perplexity.
   */
  readonly weights?: readonly number[];
  /** Mean NLL of every sequence under the base plan, where an earlier step has it. */
  readonly baseNll: SequenceNll | null;
  /** What an earlier run found out in this step. */
  readonly recorded: readonly Evidence[];
  /** Work of the whole process so far; differences count. */
  readonly measure: () => Cost;
}

/** The base plan among candidates, and in the journal. */
export const BASE = -1;
const BASE_KEY = "base";

/**
 * The scores of one step as far as they are known. What an earlier run recorded is believed and not
 * run again.
 */
export class StepScores {
  readonly step: number;
  readonly scorer: Scorer;
  readonly #candidates: Proposal[];
  readonly #options: StepScoresOptions;
  readonly #nll: (number | undefined)[][];
  readonly #baseNll: (number | undefined)[];
  #perturbations: readonly number[] | null = null;
  readonly #recorded = new Map<string, Map<number, number>>();
  #mark: Cost;
  #cost: Cost = NO_COST;

  constructor(options: StepScoresOptions) {
    this.#options = options;
    this.step = options.step;
    this.scorer = options.scorer;
    this.#candidates = [...options.candidates];
    this.#nll = options.candidates.map(() => []);
    this.#baseNll = [...options.baseNll ?? []];
    for (const evidence of options.recorded) {
      this.#cost = sumOfCosts(this.#cost, evidence.cost);
      if (evidence.type === "perturbations") {
        if (evidence.values.length === options.candidates.length) {
          this.#perturbations = evidence.values;
        }
        continue;
      }
      const known = this.#recordedOf(evidence.of, evidence.fitted);
      evidence.sequences.forEach((sequence, i) => known.set(sequence, evidence.nll[i]));
    }
    this.#mark = options.measure();
  }

  get candidates(): readonly Proposal[] {
    return this.#candidates;
  }

  /** A further candidate, which the scores of the others led to. @returns its index. */
  add(candidate: Proposal): number {
    this.#nll.push([]);
    return this.#candidates.push(candidate) - 1;
  }

  /** Work of the step so far, that of earlier runs included. */
  get cost(): Cost {
    return this.#cost;
  }

  nll(index: number): SequenceNll {
    return this.#nll[index];
  }

  get baseNll(): SequenceNll {
    return this.#baseNll;
  }

  /**
   * Whether candidates are told apart by what they add to the base plan's NLL, which then has to be
   * scored, too.
   */
  get weighted(): boolean {
    return this.#options.weights !== undefined;
  }

  /** What a nat of a candidate's loss increase counts. */
  weight(index: number): number {
    return this.#options.weights?.[index] ?? 1;
  }

  /**
   * What a candidate adds to the base plan's NLL by sequence, in nats per token times its weight,
   * where both were scored.
   */
  lossIncrease(index: number): SequenceNll {
    const weight = this.weight(index);
    return Array.from(this.#nll[index], (nll, s) => {
      const base = this.#baseNll[s];
      return nll === undefined || base === undefined ? undefined : weight * (nll - base);
    });
  }

  /**
   * What a step takes the lowest of: the perplexity, or where candidates have weights the mean loss
   * increase; NaN for none.
   */
  loss(index: number): number {
    if (!this.weighted) return this.perplexity(index);
    const values = known(this.lossIncrease(index));
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  /** Sequences that a candidate was scored on. */
  count(index: number): number {
    return known(this.#nll[index]).length;
  }

  /** Perplexity of a candidate on the sequences it was scored on; NaN for none. */
  perplexity(index: number): number {
    return perplexity(known(this.#nll[index]));
  }

  /**
   * Says that candidates will certainly be scored on these batches, whatever comes of any of them.
   * @param indices −1 for the base plan.
   */
  expect(indices: readonly number[], batches: readonly number[]) {
    if (!this.scorer.expect) return;
    for (const batch of batches) {
      const asked = indices.filter((i) => !this.#isKnown(i, batch));
      const candidates = asked.map((i) => this.candidates[i] ?? null);
      if (asked.length > 0) this.scorer.expect(this.#options.base, candidates, batch, "score");
    }
  }

  /**
   * Scores a candidate on those of the batches that it was not scored on yet.
   * @param fitted whether what it narrows is fitted meanwhile, and differs from what it is without.
   */
  async *score(
    index: number,
    batches: readonly number[],
    fitted?: true,
  ): AsyncGenerator<ScoreEvent, void> {
    // Whoever shares the work has no fits.
    if (!fitted) this.expect([index], batches);
    yield* this.#extend(this.candidates[index], this.#nll[index], batches, fitted);
  }

  /** Whether an earlier run scored a candidate, fitted, on all of these batches. */
  isRecorded(index: number, batches: readonly number[]): boolean {
    const recorded = this.#recordedOf(this.candidates[index].key, true);
    return batches.every((batch) => this.scorer.batches[batch].every((s) => recorded.has(s)));
  }

  /** Scores the base plan itself. */
  async *scoreBase(batches: readonly number[]): AsyncGenerator<ScoreEvent, void> {
    this.expect([BASE], batches);
    yield* this.#extend(null, this.#baseNll, batches);
  }

  /**
   * How far each candidate moves the output of its block, measured on one batch; null where the
   * scorer cannot tell.
   */
  async *perturbations(batch: number): AsyncGenerator<ScoreEvent, readonly number[] | null> {
    if (this.#perturbations) return this.#perturbations;
    if (!this.scorer.perturbation) return null;
    const values: number[] = [];
    this.scorer.expect?.(this.#options.base, this.candidates, batch, "perturbation");
    for (const candidate of this.candidates) {
      values.push(await this.scorer.perturbation(this.#options.base, candidate, batch));
      yield { type: "tokens", tokens: 0 };
    }
    this.#perturbations = values;
    yield { type: "perturbations", step: this.#options.step, values, cost: this.#lap() };
    return values;
  }

  #isKnown(index: number, batch: number): boolean {
    const [nll, of] = index === BASE
      ? [this.#baseNll, BASE_KEY]
      : [this.#nll[index], this.candidates[index].key];
    const recorded = this.#recorded.get(of);
    const sequences = this.scorer.batches[batch];
    return sequences.every((s) => nll[s] !== undefined) ||
      sequences.every((s) => recorded?.has(s));
  }

  async *#extend(
    candidate: Proposal | null,
    nll: (number | undefined)[],
    batches: readonly number[],
    fitted?: true,
  ): AsyncGenerator<ScoreEvent, void> {
    const { step, base } = this.#options;
    const of = candidate?.key ?? BASE_KEY;
    const recorded = this.#recordedOf(of, fitted);
    const found: number[] = [];
    for (const batch of batches) {
      const sequences = this.scorer.batches[batch];
      if (sequences.every((s) => nll[s] !== undefined)) continue;
      if (sequences.every((s) => recorded.has(s))) {
        for (const s of sequences) nll[s] = recorded.get(s);
        continue;
      }
      const means = await this.scorer.score(base, candidate, batch);
      sequences.forEach((s, i) => nll[s] = means[i]);
      found.push(...sequences);
      yield { type: "tokens", tokens: sequences.length * this.scorer.length };
    }
    if (found.length === 0) return;
    const values = found.map((s) => nll[s]!);
    const how = { of, ...(fitted && { fitted }) };
    yield { type: "score", step, ...how, sequences: found, nll: values, cost: this.#lap() };
  }

  /** What an earlier run found of a candidate, by the number of the sequence. */
  #recordedOf(of: string, fitted?: true): Map<number, number> {
    const name = fitted ? `fitted ${of}` : of;
    const known = this.#recorded.get(name) ?? new Map<number, number>();
    this.#recorded.set(name, known);
    return known;
  }

  #lap(): Cost {
    const now = this.#options.measure();
    const cost = costBetween(this.#mark, now);
    this.#mark = now;
    this.#cost = sumOfCosts(this.#cost, cost);
    return cost;
  }
}

function known(nll: SequenceNll): number[] {
  return nll.filter((value) => value !== undefined);
}
