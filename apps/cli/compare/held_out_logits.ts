import { EvaluationError } from "@lopper/core";
import type { Measuring, NamedText, OpenedModel } from "@lopper/evaluation";
import { compareLogits } from "@lopper/exports";
import type { Model } from "@lopper/models";
import type { MemoryPart } from "@lopper/run";
import { sequenceLogits } from "@lopper/runtime";
import { encodeLongText, tokensAround } from "@lopper/tokenizers";

/** Passages of a text over which models are compared, and tokens of each. */
const PASSAGES = 4;
const PASSAGE_TOKENS = 256;

/** What a model says after every token of passages of a text. */
export interface PassageLogits {
  readonly text: string;
  /** Token ids of each passage. */
  readonly passages: readonly (readonly number[])[];
  /** `[tokens, vocabSize]` of each passage. */
  readonly logits: readonly Float32Array[];
  readonly vocabSize: number;
}

/** How far a model's predictions are from the first model's. */
export interface LogitAgreement {
  readonly text: string;
  readonly positions: number;
  /** Mean of KL(first ‖ this), in nats per token. */
  readonly klDivergence: number;
  /** Share of positions with the same most likely token. */
  readonly sameTop: number;
}

/** Passages at equal distances, each behind the same beginning. */
export function passagesOf(
  ids: readonly number[],
  longest: number,
  start: readonly number[] = [],
): readonly number[][] {
  const length = Math.min(Math.min(PASSAGE_TOKENS, longest) - start.length, ids.length);
  const count = Math.min(PASSAGES, Math.floor(ids.length / length));
  const distance = Math.floor(ids.length / count);
  return Array.from(
    { length: count },
    (_, i) => [...start, ...ids.slice(i * distance, i * distance + length)],
  );
}

/** The logits of two models over all passages are in memory at a time. */
export function logitsMemory({ architecture }: Model): MemoryPart {
  const bytes = 2 * PASSAGES * PASSAGE_TOKENS * architecture.vocabSize * 4;
  return [`logits of two models after ${PASSAGES * PASSAGE_TOKENS} tokens`, bytes];
}

export async function passageLogits(
  { model, title, tokenizer, decoder, length }: OpenedModel,
  { name, text }: NamedText,
  { bos, teller, signal }: Measuring,
): Promise<PassageLogits> {
  const ids = await encodeLongText(tokenizer, text, {
    addSpecialTokens: bos !== "none",
    refuse: (problem) => new EvaluationError(`${name}: ${problem}`),
  });
  const start = bos === "each" ? (await tokensAround(tokenizer)).before : [];
  const passages = passagesOf(ids.slice(start.length), length, start);
  const logits: Float32Array[] = [];
  for (const [i, passage] of passages.entries()) {
    teller.progress(`${title}, predictions`, i, passages.length);
    logits.push(await sequenceLogits(decoder, [passage]));
    signal?.throwIfAborted();
  }
  teller.stop();
  return { text: name, passages, logits, vocabSize: model.architecture.vocabSize };
}

/** Null where the models read the text as other tokens, which leaves nothing to compare. */
export function agreement(first: PassageLogits, other: PassageLogits): LogitAgreement | null {
  const same = first.vocabSize === other.vocabSize &&
    JSON.stringify(first.passages) === JSON.stringify(other.passages);
  if (!same) return null;
  let positions = 0, kl = 0, agreeing = 0;
  first.logits.forEach((logits, i) => {
    const found = compareLogits(logits, other.logits[i], first.vocabSize);
    positions += found.positions;
    kl += found.meanKl * found.positions;
    agreeing += found.sameTop * found.positions;
  });
  return {
    text: first.text,
    positions,
    klDivergence: kl / positions,
    sameTop: agreeing / positions,
  };
}
