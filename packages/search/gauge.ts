import type { Shape } from "@lopper/core";
import { perplexity } from "@lopper/importance";
import type { SampleKind } from "./policy.ts";
import type { Scorer } from "@lopper/importance";
import { type Cost, costBetween } from "./cost.ts";
import type { Measure, MeasuredText } from "./journal_lines.ts";

/** What the gauge has to say: a measure, and whether an earlier run had it already. */
export interface MeasureEvent {
  readonly type: "measure";
  readonly measure: Measure;
  readonly perplexity: number;
  readonly resumed: boolean;
}

export interface GaugeOptions {
  readonly scorers: Readonly<Record<SampleKind, Scorer>>;
  /** Text to measure on before the first step and after each, or undefined for none. */
  readonly heldOut: Scorer | undefined;
  /**
   * Rise of the perplexity over the dense model's, as a share of it, at which a search ends;
   * undefined for none.
   */
  readonly maxIncrease: number | undefined;
  readonly dense: Shape;
  /** What an earlier run measured; it is believed. */
  readonly recorded: readonly Measure[];
  readonly measure: () => Cost;
  /** Hears of work inside one measure; may throw to stop. */
  readonly onWork: (() => void) | undefined;
}

/**
 * Watches a search without deciding its steps: perplexity on held-out text after each, and whether
 * it has risen too far. The rise is taken on the held-out text where there is one, else on the
 * samples that the step was scored on.
 */
export class Gauge {
  readonly #options: GaugeOptions;
  readonly #dense = new Map<MeasuredText, number>();
  readonly #measures: Measure[] = [];

  constructor(options: GaugeOptions) {
    this.#options = options;
  }

  /** Everything that was measured so far. */
  get measures(): readonly Measure[] {
    return this.#measures;
  }

  /** Measures the dense model, where there is held-out text. */
  async *start(): AsyncGenerator<MeasureEvent, void> {
    if (this.#options.heldOut) yield* this.#denseOn("held_out");
  }

  /**
   * Measures what a step leaves.
   * @param steps taken, that one included.
   * @param scored the perplexity of the step on its samples.
   * @returns the rise over the dense model as a share of it, or null where there is no limit.
   */
  async *after(
    steps: number,
    shape: Shape,
    samples: SampleKind,
    scored: number,
  ): AsyncGenerator<MeasureEvent, number | null> {
    const { heldOut, maxIncrease } = this.#options;
    const now = heldOut ? yield* this.#measure(steps, "held_out", shape) : scored;
    if (maxIncrease === undefined) return null;
    return now / (yield* this.#denseOn(heldOut ? "held_out" : samples)) - 1;
  }

  /**
   * Measures what a swap would leave, where there is held-out text; on other text a swap lowers the
   * loss.
   * @returns the rise over the dense model as a share of it, or null where there is no limit.
   */
  async *afterSwap(
    steps: number,
    swap: number,
    shape: Shape,
  ): AsyncGenerator<MeasureEvent, number | null> {
    const { heldOut, maxIncrease } = this.#options;
    if (!heldOut) return null;
    const now = yield* this.#measure(steps, "held_out", shape, swap);
    return maxIncrease === undefined ? null : now / (yield* this.#denseOn("held_out")) - 1;
  }

  /** Whether a rise is beyond the limit; one that is no number is. */
  exceeds(increase: number | null): increase is number {
    return increase !== null && !(increase <= this.#options.maxIncrease!);
  }

  async *#denseOn(on: MeasuredText): AsyncGenerator<MeasureEvent, number> {
    const known = this.#dense.get(on);
    if (known !== undefined) return known;
    const value = yield* this.#measure(0, on, this.#options.dense);
    this.#dense.set(on, value);
    return value;
  }

  async *#measure(
    steps: number,
    on: MeasuredText,
    shape: Shape,
    swap?: number,
  ): AsyncGenerator<MeasureEvent, number> {
    const { scorers, heldOut, recorded, measure, onWork } = this.#options;
    const earlier = recorded.find((line) =>
      line.steps === steps && line.on === on && line.swap === swap
    );
    if (earlier) {
      const value = perplexity(earlier.nll);
      this.#measures.push(earlier);
      yield { type: "measure", measure: earlier, perplexity: value, resumed: true };
      return value;
    }
    const before = measure();
    const scorer = on === "held_out" ? heldOut! : scorers[on];
    const { sequenceNll } = await scorer.evaluate(shape, onWork);
    const cost = costBetween(before, measure());
    const value = perplexity(sequenceNll);
    const of = swap === undefined ? { steps } : { steps, swap };
    const line: Measure = { type: "measure", ...of, on, nll: sequenceNll, cost };
    this.#measures.push(line);
    yield { type: "measure", measure: line, perplexity: value, resumed: false };
    return value;
  }
}
