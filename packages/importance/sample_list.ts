/**
 * The samples of a text, which may be more than memory holds: they are counted, and read when they
 * are asked for.
 */
export interface SampleList {
  readonly length: number;
  /** The samples of these numbers, which ascend, in their order. */
  read(numbers: readonly number[]): AsyncIterable<string>;
}

/** Samples that are in memory. */
export function listOf(samples: readonly string[]): SampleList {
  return {
    length: samples.length,
    async *read(numbers) {
      for (const n of numbers) yield samples[n];
    },
  };
}

/** Lists one after the other. */
export function concatenated(lists: readonly SampleList[]): SampleList {
  const starts: number[] = [];
  let length = 0;
  for (const list of lists) {
    starts.push(length);
    length += list.length;
  }
  return {
    length,
    async *read(numbers) {
      let next = 0;
      for (const [i, list] of lists.entries()) {
        const end = starts[i] + list.length;
        const first = next;
        while (next < numbers.length && numbers[next] < end) next += 1;
        if (next === first) continue;
        yield* list.read(numbers.slice(first, next).map((n) => n - starts[i]));
      }
    },
  };
}

/** Samples that are asked for at once: far more than one opening of a file costs. */
const TOGETHER = 4096;

/** All samples of a list, in order. */
export async function* everySample(list: SampleList): AsyncGenerator<string> {
  for (let start = 0; start < list.length; start += TOGETHER) {
    const length = Math.min(TOGETHER, list.length - start);
    yield* list.read(Array.from({ length }, (_, i) => start + i));
  }
}
