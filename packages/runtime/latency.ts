import {
  type Block,
  type BlockSize,
  denseShape,
  headsOf,
  isSameKind,
  type LatencyTable,
  mainUnits,
  mean,
  median,
  type Shape,
  sizeOf,
  type TimedKind,
  timedKind,
  timedUnits,
} from "@lopper/core";
import type { Decoder } from "./decoder.ts";
import type { KeyValues } from "./hidden_states.ts";

/** Sizes of blocks that are to be timed, in units: ascending. */
export interface TimedSizes extends TimedKind {
  readonly sizes: readonly number[];
}

export interface LatencyOptions {
  /** Tokens whose keys and values are there, at least 1. */
  readonly pastTokens: number;
  /** Passes for each size, after one that warms up. */
  readonly rounds: number;
  /** Hears of the passes done, of all; may throw to stop. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Times the parts of a decoder while it decodes one token after `pastTokens` others. A pass goes
 * over the whole model with all blocks of a kind at one size, as far as they have it, and takes the
 * time of each: so every block finds its weights where a real pass finds them, as a rule in memory
 * and not in the processor's caches, where one block that is run again and again would keep them.
 * Sizes take turns, every second round the other way around, so that what else the machine does
 * falls on all of them. A time is the mean over the blocks of the median over the rounds.
 */
export async function measureLatencies(
  decoder: Decoder,
  kinds: readonly TimedSizes[],
  { pastTokens, rounds, onProgress }: LatencyOptions,
): Promise<LatencyTable> {
  const { vocabSize } = decoder.architecture;
  const ids = Array.from({ length: pastTokens }, (_, i) => i % vocabSize);
  const dense = denseShape(decoder.blocks);
  const { present } = await decoder.runCached(dense, await decoder.embed([ids]), null);
  const count = Math.max(1, ...kinds.map(({ sizes }) => sizes.length));
  const shapes = Array.from({ length: count }, (_, i) => shapeAt(decoder.blocks, kinds, i));
  const times = new BlockTimes(decoder.blocks);
  const rest: number[] = [];
  const total = (rounds + 1) * count;
  for (let round = 0; round <= rounds; round++) {
    for (const [i, shape] of (round % 2 === 0 ? shapes : shapes.toReversed()).entries()) {
      const pass = await timedPass(decoder, shape, present, ids[0]);
      onProgress?.(round * count + i + 1, total);
      if (round === 0) continue;
      rest.push(pass.rest);
      times.add(shape, pass.blocks);
    }
  }
  return {
    pastTokens,
    rounds,
    rest: median(rest),
    curves: kinds.map((kind) => ({
      ...kind,
      ms: kind.sizes.map((units) => times.ofBlocks(kind, units)),
    })),
  };
}

/** Milliseconds of each block in each of its sizes. */
class BlockTimes {
  readonly #blocks: readonly Block[];
  readonly #found = new Map<string, number[]>();

  constructor(blocks: readonly Block[]) {
    this.#blocks = blocks;
  }

  add(shape: Shape, ms: readonly number[]) {
    this.#blocks.forEach((block, number) => {
      const key = keyOf(block, timedUnits(block, shape[number]!));
      this.#found.set(key, [...this.#found.get(key) ?? [], ms[number]]);
    });
  }

  /** The mean over the blocks of a kind that were timed in a size. */
  ofBlocks(kind: TimedKind, units: number): number {
    return mean(
      this.#blocks.filter((block) => isSameKind(timedKind(block), kind)).flatMap((block) => {
        const found = this.#found.get(keyOf(block, units));
        return found ? [median(found)] : [];
      }),
    );
  }
}

function keyOf({ id }: Block, units: number): string {
  return `${id} ${units}`;
}

/**
 * The blocks at the i-th size of their kind, counted around; those that are narrower already stay
 * as they are.
 */
function shapeAt(blocks: readonly Block[], kinds: readonly TimedSizes[], i: number): Shape {
  return blocks.map((block): BlockSize => {
    const own = timedKind(block);
    const sizes = kinds.find((kind) => isSameKind(kind, own))?.sizes ?? [];
    const { dimension } = mainUnits(block);
    const whole = sizeOf(block);
    const units = Math.min(whole[dimension], sizes[i % sizes.length] ?? Infinity);
    return { ...whole, [dimension]: units };
  });
}

/**
 * Milliseconds of every block of one pass over a token, by number, and of everything else in it.
 */
async function timedPass(
  decoder: Decoder,
  shape: Shape,
  past: readonly (KeyValues | null)[],
  id: number,
): Promise<{ rest: number; blocks: readonly number[] }> {
  const narrowed = decoder.blocks.map((block, number) =>
    block.attention ? firstHeads(past[number]!, block, shape[number]!) : null
  );
  const blocks: number[] = [];
  const started = performance.now();
  let hidden = await decoder.embed([[id]]);
  for (const number of decoder.blocks.keys()) {
    const begun = performance.now();
    ({ hidden } = await decoder.runBlockCached(number, shape, hidden, narrowed[number]));
    blocks.push(performance.now() - begun);
  }
  await decoder.logits(hidden.data);
  const inBlocks = blocks.reduce((sum, ms) => sum + ms, 0);
  return { rest: performance.now() - started - inBlocks, blocks };
}

/** Keys and values of the first KV heads, without a copy. */
function firstHeads({ length, keys, values }: KeyValues, block: Block, size: BlockSize) {
  const { kvHeads, headDim } = headsOf(block, size);
  const end = kvHeads * length * headDim;
  return { length, keys: keys.subarray(0, end), values: values.subarray(0, end) };
}
