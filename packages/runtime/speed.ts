import { denseShape, type Shape } from "@lopper/core";
import type { Decoder } from "./decoder.ts";
import type { KeyValues } from "./hidden_states.ts";

export interface SpeedOptions {
  /** Sizes of the blocks; those of the checkpoint where nothing is said. */
  readonly shape?: Shape;
  /**
   * Tokens that are read one by one after the prompt, each with the keys and values of all before
   * it.
   */
  readonly decodeTokens: number;
  /** How often both are measured, after a first time that warms up. */
  readonly repeats: number;
  /** Hears how many passes are done, of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Seconds of every repeat. */
export interface Speed {
  /** From the prompt's tokens to the logits after the last of them. */
  readonly prefillSeconds: readonly number[];
  /** From each of `decodeTokens` further tokens to the logits after it, all of them together. */
  readonly decodeSeconds: readonly number[];
}

/**
 * Times what generation does: one pass over the prompt, then a pass for each token. Which tokens
 * follow makes no difference to the time, so the prompt's are read again.
 * @param prompt token ids, at least one.
 */
export async function measureSpeed(
  decoder: Decoder,
  prompt: readonly number[],
  { shape = denseShape(decoder.blocks), decodeTokens, repeats, onProgress }: SpeedOptions,
): Promise<Speed> {
  const passes = (repeats + 1) * (1 + decodeTokens);
  const prefillSeconds: number[] = [], decodeSeconds: number[] = [];
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const started = performance.now();
    let past = await step(decoder, shape, prompt, null);
    const read = performance.now();
    for (let i = 0; i < decodeTokens; i++) {
      past = await step(decoder, shape, [prompt[i % prompt.length]], past);
    }
    const done = performance.now();
    onProgress?.((repeat + 1) * (1 + decodeTokens), passes);
    if (repeat === 0) continue;
    prefillSeconds.push((read - started) / 1000);
    decodeSeconds.push((done - read) / 1000);
  }
  return { prefillSeconds, decodeSeconds };
}

/** Reads tokens as far as the logits after the last one. */
async function step(
  decoder: Decoder,
  shape: Shape,
  ids: readonly number[],
  past: readonly (KeyValues | null)[] | null,
): Promise<readonly (KeyValues | null)[]> {
  const { hiddenSize } = decoder.architecture;
  const { hidden, present } = await decoder.runCached(shape, await decoder.embed([ids]), past);
  await decoder.logits(hidden.data.subarray((ids.length - 1) * hiddenSize));
  return present;
}
