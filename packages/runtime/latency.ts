import {
  denseShape,
  groupSize,
  type LatencyTable,
  type LayerSpec,
  median,
  shapeOfLayers,
} from "@lopper/core";
import type { Decoder } from "./decoder.ts";
import type { KeyValues } from "./hidden_states.ts";

/** Sizes of blocks that are to be timed; each list is ascending. */
export interface BlockSizes {
  /** KV heads, for each number of query heads that read one. */
  readonly attention: readonly {
    readonly groupSize: number;
    readonly kvHeads: readonly number[];
  }[];
  /** Intermediate channels. */
  readonly mlp: readonly number[];
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
 * Times the parts of a decoder while it decodes one token after `pastTokens` others. A pass goes over the whole model with all
 * blocks of a kind at one size, as far as they have it, and takes the time of each: so every block finds its weights
 * where a real pass finds them, as a rule in memory and not in the processor's caches, where one block that is run again and
 * again would keep them. Sizes take turns, every second round the other way around, so that what else the machine does
 * falls on all of them. A time is the mean over the layers of the median over the rounds.
 * @throws {UnsupportedModelError} when the model's sliding window is shorter than the tokens.
 */
export async function measureLatencies(
  decoder: Decoder,
  sizes: BlockSizes,
  { pastTokens, rounds, onProgress }: LatencyOptions,
): Promise<LatencyTable> {
  const { layers, vocabSize } = decoder.spec;
  const ids = Array.from({ length: pastTokens }, (_, i) => i % vocabSize);
  const dense = denseShape(decoder.blocks);
  const { present } = await decoder.runCached(dense, await decoder.embed([ids]), null);
  const count = Math.max(
    1,
    sizes.mlp.length,
    ...sizes.attention.map(({ kvHeads }) => kvHeads.length),
  );
  const shapes = Array.from({ length: count }, (_, i) => layersAt(layers, sizes, i));
  const times = new Map<string, number[]>();
  const rest: number[] = [];
  const total = (rounds + 1) * count;
  for (let round = 0; round <= rounds; round++) {
    for (const [i, shape] of (round % 2 === 0 ? shapes : shapes.toReversed()).entries()) {
      const pass = await timedPass(decoder, shape, present, ids[0]);
      onProgress?.(round * count + i + 1, total);
      if (round === 0) continue;
      rest.push(pass.rest);
      for (const [name, ms] of pass.blocks) times.set(name, [...times.get(name) ?? [], ms]);
    }
  }
  const ofLayers = (name: (layer: number) => string) => {
    const medians = layers.flatMap((_, layer) => {
      const found = times.get(name(layer));
      return found ? [median(found)] : [];
    });
    return medians.reduce((sum, ms) => sum + ms, 0) / medians.length;
  };
  return {
    pastTokens,
    rounds,
    rest: median(rest),
    attention: sizes.attention.map(({ groupSize, kvHeads }) => ({
      groupSize,
      sizes: kvHeads,
      ms: kvHeads.map((heads) => ofLayers((l) => attentionName(l, groupSize, heads))),
    })),
    mlp: {
      sizes: sizes.mlp,
      ms: sizes.mlp.map((channels) => ofLayers((l) => mlpName(l, channels))),
    },
  };
}

/** The layers with their blocks at the i-th size, counted around; those that are narrower already stay as they are. */
function layersAt(
  layers: readonly LayerSpec[],
  { attention, mlp }: BlockSizes,
  i: number,
): readonly LayerSpec[] {
  return layers.map((layer) => {
    const size = layer.attention && groupSize(layer.attention);
    const heads = attention.find(({ groupSize }) => groupSize === size)?.kvHeads ?? [];
    const kvHeads = Math.min(layer.attention?.kvHeads ?? 0, heads[i % heads.length] ?? Infinity);
    const intermediateSize = Math.min(
      layer.mlp?.intermediateSize ?? 0,
      mlp[i % mlp.length] ?? Infinity,
    );
    return {
      attention: layer.attention && { queryHeads: kvHeads * size!, kvHeads },
      mlp: layer.mlp && { intermediateSize },
    };
  });
}

const attentionName = (layer: number, groupSize: number, kvHeads: number) =>
  `attention ${layer} ${groupSize} ${kvHeads}`;
const mlpName = (layer: number, channels: number) => `mlp ${layer} ${channels}`;

/** Milliseconds of every block of one pass over a token, by name, and of everything else in it. */
async function timedPass(
  decoder: Decoder,
  layers: readonly LayerSpec[],
  past: readonly (KeyValues | null)[],
  id: number,
): Promise<{ rest: number; blocks: ReadonlyMap<string, number> }> {
  const { headDim } = decoder.spec;
  const shape = shapeOfLayers(decoder.spec, layers);
  const blocks = new Map<string, number>();
  let inBlocks = 0;
  const timed = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await run();
    const ms = performance.now() - started;
    blocks.set(name, ms);
    inBlocks += ms;
    return result;
  };
  const started = performance.now();
  let hidden = await decoder.embed([[id]]);
  for (const [block, { layer: l, kind }] of decoder.blocks.entries()) {
    const { attention, mlp } = layers[l];
    if (kind === "attention" && attention) {
      const name = attentionName(l, groupSize(attention), attention.kvHeads);
      const heads = firstHeads(past[block]!, attention.kvHeads, headDim);
      const run = () => decoder.runBlockCached(block, shape, hidden, heads);
      ({ hidden } = await timed(name, run));
    }
    if (kind === "mlp" && mlp) {
      const run = () => decoder.runBlock(block, shape, hidden);
      hidden = await timed(mlpName(l, mlp.intermediateSize), run);
    }
  }
  await decoder.logits(hidden.data);
  return { rest: performance.now() - started - inBlocks, blocks };
}

/** Keys and values of the first KV heads, without a copy. */
function firstHeads({ length, keys, values }: KeyValues, kvHeads: number, headDim: number) {
  const end = kvHeads * length * headDim;
  return { length, keys: keys.subarray(0, end), values: values.subarray(0, end) };
}
