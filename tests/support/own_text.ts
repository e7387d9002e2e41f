import { type CalibrationSet } from "@lopper/importance";
import { type Decoder, sequenceLogits } from "@lopper/runtime";
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
  while (sequences[0].length < length) {
    const logits = await sequenceLogits(decoder, sequences);
    sequences.forEach((sequence, s) => {
      const last = (s + 1) * sequence.length - 1;
      const row = Array.from(logits.subarray(last * vocabSize, (last + 1) * vocabSize));
      const top = Math.max(...row);
      const weights = row.map((x) => Math.exp(2 * (x - top)));
      let left = random.unit() * weights.reduce((a, b) => a + b, 0);
      const next = weights.findIndex((w) => (left -= w) < 0);
      sequence.push(next < 0 ? 0 : next);
    });
  }
  return { sequences, length, ignoredLabel: null, digest: "sha256:test" };
}
