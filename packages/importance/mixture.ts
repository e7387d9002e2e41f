import { drawSamples, samplesAside } from "./calibration.ts";

/** Samples of one file, and its weight beside others. */
export interface SampleSource {
  readonly samples: readonly string[];
  /** Above 0; shares are weights over their sum. */
  readonly weight: number;
}

/**
 * How many of `count` come from each source: one after the other goes to whom it is due most (highest averages with odd
 * divisors, Sainte-Laguë), so that no share shrinks when `count` grows, and what is drawn for less is a part of what is
 * drawn for more.
 */
export function apportioned(weights: readonly number[], count: number): readonly number[] {
  const shares = weights.map(() => 0);
  for (let given = 0; given < count; given++) {
    const due = weights.map((weight, i) => weight / (2 * shares[i] + 1));
    shares[due.indexOf(Math.max(...due))] += 1;
  }
  return shares;
}

/** As `drawSamples`, from each source its share: fewer where a source has no more. */
export function drawMixed(
  sources: readonly SampleSource[],
  count: number,
  seed: number,
): readonly string[] {
  const shares = apportioned(sources.map(({ weight }) => weight), count);
  return interleaved(sources.map(({ samples }, i) => drawSamples(samples, shares[i], seed)));
}

/** As `samplesAside`, from each source its share. */
export function mixedAside(
  sources: readonly SampleSource[],
  taken: number,
  count: number,
  seed: number,
): readonly string[] {
  const weights = sources.map(({ weight }) => weight);
  const before = apportioned(weights, taken);
  const after = apportioned(weights, taken + count);
  return interleaved(
    sources.map(({ samples }, i) => samplesAside(samples, before[i], after[i] - before[i], seed)),
  );
}

/** Lists spread evenly over one, each in its order, so that every part of it has something of all. */
function interleaved(lists: readonly (readonly string[])[]): readonly string[] {
  return lists
    .flatMap((list, source) =>
      list.map((sample, i) => ({ sample, source, place: (i + 0.5) / list.length }))
    )
    .sort((a, b) => a.place - b.place || a.source - b.source)
    .map(({ sample }) => sample);
}
