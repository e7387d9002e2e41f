import { denseShape } from "@lopper/core";
import { type CalibrationSet } from "@lopper/importance";
import type { Decoder, KeyValues } from "@lopper/runtime";
import { type Random } from "./tiny_models.ts";

/** Text as a model would go on, so that what is lost of the model shows in its loss. */
export async function ownText(
  decoder: Decoder,
  count: number,
  length: number,
  random: Random,
): Promise<CalibrationSet> {
  const { vocabSize } = decoder.architecture;
  const sequences = Array.from({ length: count }, () => [random.int(0, vocabSize - 1)]);
  const shape = denseShape(decoder.blocks);
  let past: readonly (KeyValues | null)[] | null = null;
  for (let at = 0; at < length - 1; at++) {
    const input = await decoder.embed(sequences.map((ids) => [ids[at]]), sequences.map(() => at));
    const step: Awaited<ReturnType<Decoder["runCached"]>> = await decoder.runCached(
      shape,
      input,
      past,
    );
    past = step.present;
    const logits = await decoder.logits(step.hidden.data);
    sequences.forEach((sequence, s) => {
      const row = Array.from(logits.subarray(s * vocabSize, (s + 1) * vocabSize));
      const top = Math.max(...row);
      const weights = row.map((x) => Math.exp(2 * (x - top)));
      let left = random.unit() * weights.reduce((a, b) => a + b, 0);
      const next = weights.findIndex((w) => (left -= w) < 0);
      sequence.push(next < 0 ? 0 : next);
    });
  }
  return { sequences, length, ignoredLabel: null, digest: "sha256:test" };
}
