import { openBackend } from "@lopper/backends";
import { type Model } from "@lopper/models";
import { Decoder, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import { greedyTokens } from "./greedy.ts";

export interface ByLopper {
  /** `[ids.length, vocabSize]`. */
  readonly logits: Float32Array;
  /** For each prompt, the tokens that follow it when the likeliest is taken each time. */
  readonly greedy: readonly (readonly number[])[];
}

/** What Lopper's own runtime computes of a model, in float32. */
export async function byLopper(
  model: Model,
  ids: readonly number[],
  prompts: readonly (readonly number[])[] = [],
  newTokens = 0,
): Promise<ByLopper> {
  const { backend } = await openBackend("cpu", { threads: 1 });
  try {
    const decoder = new Decoder(backend, await LaidOutWeights.load(model));
    const logits = await sequenceLogits(decoder, [ids]);
    const greedy = [];
    for (const prompt of prompts) greedy.push(await greedyTokens(decoder, prompt, newTokens));
    return { logits, greedy };
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}

/** Little-endian float32 numbers in base64, as the readers print them. */
export function float32Of(base64: string): Float32Array {
  return new Float32Array(Uint8Array.fromBase64(base64).buffer);
}
