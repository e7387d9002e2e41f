import { drawNumbers, furtherNumbers } from "./draw.ts";
import type { SampleList } from "./sample_list.ts";

/** Samples of one file, and its weight beside others. */
export interface SampleSource {
  /** What people call it, where it has a name. */
  readonly name?: string;
  readonly samples: SampleList;
  /** Above 0; shares are weights over their sum. */
  readonly weight: number;
}

/** Samples that were drawn, and are read when they are asked for. */
export interface DrawnSamples {
  readonly count: number;
  read(): AsyncIterable<string>;
}

/**
 * How many of `count` come from each source: one after the other goes to whom it is due most
 * (highest averages with odd divisors, Sainte-Laguë), so that no share shrinks when `count` grows,
 * and what is drawn for less is a part of what is drawn for more.
 */
export function apportioned(weights: readonly number[], count: number): readonly number[] {
  const shares = weights.map(() => 0);
  for (let given = 0; given < count; given++) {
    const due = weights.map((weight, i) => weight / (2 * shares[i] + 1));
    shares[due.indexOf(Math.max(...due))] += 1;
  }
  return shares;
}

/**
 * `count` samples drawn without replacement, from each source its share: fewer where a source has
 * no more. Those of a source come in its order.
 */
export function drawMixed(
  sources: readonly SampleSource[],
  count: number,
  seed: number,
): DrawnSamples {
  return drawnOf(sources, numbersOf(sources, count, seed));
}

/** What `drawMixed` draws of each source, by itself, in the order of the sources. */
export function drawApart(
  sources: readonly SampleSource[],
  count: number,
  seed: number,
): readonly DrawnSamples[] {
  const numbers = numbersOf(sources, count, seed);
  return sources.map((source, i) => drawnOf([source], [numbers[i]]));
}

/** Numbers of the samples that are drawn of each source. */
function numbersOf(sources: readonly SampleSource[], count: number, seed: number) {
  const shares = apportioned(sources.map(({ weight }) => weight), count);
  return sources.map(({ samples }, i) => drawNumbers(samples.length, shares[i], seed));
}

/**
 * At most `count` samples that `drawMixed` leaves when it draws `taken` with the same seed, from
 * each source its share.
 */
export function mixedFurther(
  sources: readonly SampleSource[],
  taken: number,
  count: number,
  seed: number,
): DrawnSamples {
  const weights = sources.map(({ weight }) => weight);
  const before = apportioned(weights, taken);
  const after = apportioned(weights, taken + count);
  return drawnOf(
    sources,
    sources.map(({ samples }, i) =>
      furtherNumbers(samples.length, before[i], after[i] - before[i], seed)
    ),
  );
}

/**
 * Samples by their numbers in each source, spread evenly over one list, so that every part of it
 * has something of all.
 */
function drawnOf(
  sources: readonly SampleSource[],
  numbers: readonly (readonly number[])[],
): DrawnSamples {
  const order = numbers
    .flatMap((list, source) => list.map((_, i) => ({ source, place: (i + 0.5) / list.length })))
    .sort((a, b) => a.place - b.place || a.source - b.source);
  return {
    count: order.length,
    async *read() {
      const readers = sources.map(({ samples }, i) =>
        samples.read(numbers[i])[Symbol.asyncIterator]()
      );
      try {
        for (const { source } of order) {
          const { value, done } = await readers[source].next();
          if (done) throw new TypeError("a source has as many samples as its numbers");
          yield value;
        }
      } finally {
        for (const reader of readers) await reader.return?.();
      }
    },
  };
}
