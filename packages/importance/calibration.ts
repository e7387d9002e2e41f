import { CalibrationError, sha256 } from "@lopper/core";
import { type BosRule, textSequences, type Tokenizer } from "@lopper/tokenizers";

/** Equally long sequences of token ids. */
export interface Sequences {
  readonly sequences: readonly (readonly number[])[];
  /** Tokens of each sequence. */
  readonly length: number;
}

/** Sequences to calibrate on or to measure, and which labels count. */
export interface CalibrationSet extends Sequences {
  /** Positions whose label is this token are left out of the mean, or null for none. */
  readonly ignoredLabel: number | null;
  /** `sha256:…` of the token ids and the label rule: what a decision depended on. */
  readonly digest: string;
}

/** Tokens of all sequences of a set. */
export function tokenCount({ sequences, length }: Sequences): number {
  return sequences.length * length;
}

/**
 * Share of the sequences that `splitOff` splits off by itself, and the fewest that say anything.
 */
const VALIDATION_SHARE = 1 / 4;
const MIN_VALIDATION = 2;

/**
 * Splits a set in two, the last of which has that share of it; null where it is too short for that.
 */
export async function splitOff(
  set: CalibrationSet,
  share = VALIDATION_SHARE,
): Promise<{ readonly first: CalibrationSet; readonly last: CalibrationSet } | null> {
  const { sequences, ignoredLabel } = set;
  const count = Math.max(MIN_VALIDATION, Math.floor(sequences.length * share));
  if (sequences.length < 2 * count) return null;
  const part = async (sequences: CalibrationSet["sequences"]) => ({
    ...set,
    sequences,
    digest: await digest(sequences, ignoredLabel),
  });
  return {
    first: await part(sequences.slice(0, -count)),
    last: await part(sequences.slice(-count)),
  };
}

/**
 * Bytes of text that one set may have: a million tokens, more than a search over them could ever
 * take, and little beside a model.
 */
export const MAX_SET_BYTES = 2 ** 22;

/** Samples of a set, and what it is called in messages. */
export interface SetText {
  readonly samples: AsyncIterable<string> | Iterable<string>;
  readonly what: string;
  /**
   * Leaves out what is beyond `MAX_SET_BYTES`: for a set of which no more than its beginning is
   * used.
   */
  readonly beginning?: boolean;
}

/** How a set is cut. */
export interface CutOptions {
  /** Tokens of a sequence. */
  readonly length: number;
  /** Which sequences begin with what the tokenizer puts before a text; published: the first. */
  readonly bos: BosRule;
}

/**
 * Joins samples with a blank line, tokenises them at once and cuts them into sequences; the tail is
 * dropped (as the published code does).
 * @throws {CalibrationError} when the text has fewer tokens than one sequence, or more bytes than a
 *   set may have.
 */
export async function calibrationSet(
  text: SetText,
  tokenizer: Tokenizer,
  options: CutOptions,
): Promise<CalibrationSet> {
  const { set, tokens, taken } = await cut(text, tokenizer, options);
  if (set.sequences.length > 0) return set;
  throw new CalibrationError(
    `${text.what}: the text has ${tokens} tokens and one sequence needs ${taken} (give more text, or a smaller --seq-len)`,
  );
}

/** As `calibrationSet`; null where the text has fewer tokens than one sequence. */
export async function calibrationSetIfEnough(
  text: SetText,
  tokenizer: Tokenizer,
  options: CutOptions,
): Promise<CalibrationSet | null> {
  const { set } = await cut(text, tokenizer, options);
  return set.sequences.length > 0 ? set : null;
}

async function cut(text: SetText, tokenizer: Tokenizer, { length, bos }: CutOptions) {
  const { sequences, tokens, taken } = await textSequences(tokenizer, await joinedSamples(text), {
    ...{ length, bos },
    refuse: (problem) => new CalibrationError(`${text.what}: ${problem}`),
  });
  // The published code takes an eos id of 0 for "no eos token".
  const ignoredLabel = tokenizer.eosTokenId || null;
  const set = { sequences, length, ignoredLabel, digest: await digest(sequences, ignoredLabel) };
  return { set, tokens, taken };
}

async function joinedSamples({ samples, what, beginning }: SetText): Promise<string> {
  const taken: string[] = [];
  let bytes = 0;
  for await (const sample of samples) {
    bytes += new TextEncoder().encode(sample).byteLength + SEPARATOR.length;
    if (bytes > MAX_SET_BYTES) {
      if (beginning && taken.length > 0) break;
      throw new CalibrationError(
        `${what}: the text has more than ${MAX_SET_BYTES} bytes, the most that is tokenised of one; ` +
          "a part of it, fewer samples or shorter ones are enough",
      );
    }
    taken.push(sample);
  }
  return taken.join(SEPARATOR);
}

const SEPARATOR = "\n\n";

/**
 * The first sequences of a set that have at most so many tokens together; the first one in any
 * case.
 */
export async function beginning(set: CalibrationSet, tokens: number): Promise<CalibrationSet> {
  const sequences = set.sequences.slice(0, Math.max(1, Math.floor(tokens / set.length)));
  return { ...set, sequences, digest: await digest(sequences, set.ignoredLabel) };
}

/** Sets of equally long sequences as one. */
export async function joined(
  first: CalibrationSet,
  ...others: readonly CalibrationSet[]
): Promise<CalibrationSet> {
  const sequences = [first, ...others].flatMap(({ sequences }) => sequences);
  return { ...first, sequences, digest: await digest(sequences, first.ignoredLabel) };
}

/** Whether a set is enough to judge by. */
export function isEnoughToValidate({ sequences }: CalibrationSet): boolean {
  return sequences.length >= MIN_VALIDATION;
}

/** Of one line with the label rule, and one line of ids a sequence. */
function digest(
  sequences: readonly (readonly number[])[],
  ignoredLabel: number | null,
): Promise<string> {
  const lines = [JSON.stringify({ ignoredLabel }), ...sequences.map((ids) => ids.join(" "))];
  return sha256(new TextEncoder().encode(lines.join("\n")));
}
