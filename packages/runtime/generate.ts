import { denseShape, type Shape } from "@lopper/core";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import type { Decoder } from "./decoder.ts";
import type { KeyValues } from "./hidden_states.ts";

export interface GenerateOptions {
  readonly shape?: Shape;
  readonly maxTokens: number;
  /** 0 = greedy; otherwise logits are divided by it before sampling. */
  readonly temperature: number;
  readonly seed: number;
}

/**
 * Generates token ids after `prompt` (at least one id), one at a time, until `maxTokens`, an
 * end-of-text token, or the longest sequence that the model was made for.
 * @throws {RangeError} when the prompt alone is empty, or longer than that.
 */
export async function* generate(
  decoder: Decoder,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number> {
  if (prompt.length === 0) throw new RangeError("the prompt has no tokens");
  const { architecture } = decoder;
  const shape = options.shape ?? denseShape(decoder.blocks);
  const longest = architecture.maxPositions;
  if (prompt.length > longest) {
    throw new RangeError(`the prompt has ${prompt.length} tokens, and the model takes ${longest}`);
  }
  const random = generator(options.seed);
  let input: readonly number[] = prompt;
  let past: readonly (KeyValues | null)[] | null = null;
  let reached = 0;
  const limit = Math.min(options.maxTokens, longest - prompt.length);
  for (let produced = 0; produced < limit; produced++) {
    const { hidden, present } = await decoder.runCached(
      shape,
      await decoder.embed([input], input.map((_, i) => reached + i)),
      past,
    );
    const lastRow = hidden.data.subarray((input.length - 1) * architecture.hiddenSize);
    const logits = await decoder.logits(lastRow);
    const next = options.temperature === 0
      ? argmax(logits)
      : sample(logits, options.temperature, uniformFloat64(random));
    if (architecture.eosTokenIds.includes(next)) return;
    yield next;
    past = present;
    reached += input.length;
    input = [next];
  }
}

export interface SamplingOptions {
  /** Token that every sequence begins with; it is not part of what comes out. */
  readonly start: number;
  /** Tokens of each sequence, at least 1. */
  readonly length: number;
  /** Above 0. */
  readonly temperature: number;
  /** One for each sequence: what it says does not depend on what runs beside it. */
  readonly seeds: readonly number[];
  /** Hears of the tokens of each sequence so far; may throw to stop. */
  readonly onProgress?: (tokens: number) => void;
}

/**
 * Samples sequences side by side from the model as it is, `[seeds.length][length]`. A text that
 * ends is followed by the next one: its end-of-text token is in the sequence like any other.
 */
export async function sampleSequences(
  decoder: Decoder,
  { start, length, temperature, seeds, onProgress }: SamplingOptions,
): Promise<number[][]> {
  const { vocabSize } = decoder.architecture;
  const shape = denseShape(decoder.blocks);
  const randoms = seeds.map(generator);
  const sequences: number[][] = seeds.map(() => []);
  let past: readonly (KeyValues | null)[] | null = null;
  let last = seeds.map(() => start);
  for (let produced = 0; produced < length; produced++) {
    const input = await decoder.embed(last.map((id) => [id]), last.map(() => produced));
    const { hidden, present } = await decoder.runCached(shape, input, past);
    const logits = await decoder.logits(hidden.data);
    last = randoms.map((random, row) => {
      const own = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
      return sample(own, temperature, uniformFloat64(random));
    });
    last.forEach((id, row) => sequences[row].push(id));
    past = present;
    onProgress?.(produced + 1);
  }
  return sequences;
}

function generator(seed: number) {
  const random = xoroshiro128plus(seed);
  // The state that a small seed gives begins with a number next to 1, whatever the seed; far along
  // it is well mixed.
  random.jump();
  return random;
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The id at which the cumulative softmax of `logits / temperature` passes `uniform` in [0, 1). */
function sample(logits: Float32Array, temperature: number, uniform: number): number {
  const max = logits[argmax(logits)];
  // Loops: `Float64Array.from` with a function takes six times as long, and was two fifths of the
  // time that text took.
  const weights = new Float64Array(logits.length);
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    weights[i] = Math.exp((logits[i] - max) / temperature);
    sum += weights[i];
  }
  let left = uniform * sum;
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i];
    if (left < 0) return i;
  }
  return weights.length - 1;
}
