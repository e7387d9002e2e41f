import type { Backend } from "@lopper/backends";
import { beginning, type CalibrationSet, calibrationSet } from "@lopper/importance";
import type { Model } from "@lopper/models";
import { openTokenizer } from "@lopper/tokenizers";

/** Tokens of a sequence, where a model takes as many. */
const SEQUENCE_TOKENS = 512;
/** Tokens that are learnt from at most: a few for each input of a wide matrix. */
const MAX_TOKENS = 16_384;

/** Text whose activations say which errors of rounding count. */
export interface RoundingText {
  /** What it is called. */
  readonly name: string;
  readonly samples: AsyncIterable<string> | Iterable<string>;
  /** What runs the model on it. */
  readonly backend: Backend;
}

/**
 * The beginning of a text, cut into sequences.
 * @throws {CalibrationError} when it has fewer tokens than one sequence.
 */
export async function roundingSet(
  { architecture, folder }: Model,
  { name, samples }: RoundingText,
): Promise<CalibrationSet> {
  using tokenizer = await openTokenizer(folder);
  const text = { samples, what: `calibration text ${name}`, beginning: true };
  const length = Math.min(SEQUENCE_TOKENS, architecture.maxPositions);
  const set = await calibrationSet(text, tokenizer, { length, bos: "each" });
  return await beginning(set, MAX_TOKENS);
}
