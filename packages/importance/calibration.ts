import { CalibrationError, sha256 } from "@lopper/core";
import type { Tokenizer } from "@lopper/model-io";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

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
 * The samples of a calibration file: a line of `.jsonl` each (field `text`), a paragraph of `.txt` each (paragraphs are
 * separated by blank lines).
 * @throws {CalibrationError} naming the line that is not what it should be.
 */
export function parseSamples(text: string, file: string): readonly string[] {
  const extension = /\.(jsonl|txt)$/i.exec(file)?.[1].toLowerCase();
  if (extension === undefined) {
    throw new CalibrationError(
      `${file}: calibration text is a .txt, .jsonl or .parquet file, or a folder of them`,
    );
  }
  const samples = extension === "txt" ? paragraphs(text) : jsonLines(text, file);
  if (samples.length === 0) throw new CalibrationError(`${file}: there is no text in it`);
  return samples;
}

function paragraphs(text: string): string[] {
  return text.replaceAll("\r\n", "\n").split(/\n[ \t]*\n+/).map((p) => p.trim())
    .filter((p) => p !== "");
}

function jsonLines(text: string, file: string): string[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new CalibrationError(`${file}, line ${i + 1}: not JSON`, { cause: error });
    }
    const sample = (value as { text?: unknown } | null)?.text;
    if (typeof sample !== "string") {
      throw new CalibrationError(
        `${file}, line ${i + 1}: each line needs the form {"text": "…"}`,
      );
    }
    return [sample];
  });
}

/** `count` samples drawn without replacement, in the order of the file; all of them when there are no more. */
export function drawSamples(
  samples: readonly string[],
  count: number,
  seed: number,
): readonly string[] {
  if (samples.length <= count) return samples;
  return drawn(samples.length, count, seed).sort((a, b) => a - b).map((i) => samples[i]);
}

/** At most `count` samples that `drawSamples` leaves when it draws `taken` with the same seed, in the order of the file. */
export function samplesAside(
  samples: readonly string[],
  taken: number,
  count: number,
  seed: number,
): readonly string[] {
  if (samples.length <= taken) return [];
  const both = drawn(samples.length, Math.min(samples.length, taken + count), seed);
  return both.slice(taken).sort((a, b) => a - b).map((i) => samples[i]);
}

/** Share of the sequences that `keepAside` keeps aside by itself, and the fewest that say anything. */
const ASIDE_SHARE = 1 / 4;
const FEWEST_ASIDE = 2;

/**
 * Splits a set in two: what is learnt from, and a share that is kept aside to judge by; null where it is too short for
 * that.
 */
export async function keepAside(
  set: CalibrationSet,
  share = ASIDE_SHARE,
): Promise<{ readonly learn: CalibrationSet; readonly aside: CalibrationSet } | null> {
  const { sequences, ignoredLabel } = set;
  const count = Math.max(FEWEST_ASIDE, Math.floor(sequences.length * share));
  if (sequences.length < 2 * count) return null;
  const part = async (sequences: CalibrationSet["sequences"]) => ({
    ...set,
    sequences,
    digest: await digest(sequences, ignoredLabel),
  });
  return {
    learn: await part(sequences.slice(0, -count)),
    aside: await part(sequences.slice(-count)),
  };
}

/** The numbers below `n` in an order that a seed decides. */
export function shuffled(n: number, seed: number): readonly number[] {
  return drawn(n, n, seed);
}

/** `count` of the numbers below `n`, drawn without replacement (Fisher and Yates). */
function drawn(n: number, count: number, seed: number): number[] {
  const random = xoroshiro128plus(seed);
  const indices = Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = uniformInt(random, i, n - 1);
    [indices[i], indices[j]] = [indices[j], indices[i]];
  }
  return indices.slice(0, count);
}

/**
 * Joins samples with a blank line, tokenises them at once and cuts them into sequences; the tail is dropped
 * (as the published code does).
 * @throws {CalibrationError} when the text has fewer tokens than one sequence.
 */
export async function calibrationSet(
  samples: readonly string[],
  tokenizer: Tokenizer,
  length: number,
  what: string,
): Promise<CalibrationSet> {
  const ids = await tokenizer.encode(samples.join("\n\n"));
  const count = Math.floor(ids.length / length);
  if (count === 0) {
    throw new CalibrationError(
      `${what}: the text has ${ids.length} tokens and one sequence needs ${length} (give more text, or a smaller --seq-len)`,
    );
  }
  const sequences = Array.from(
    { length: count },
    (_, i) => ids.slice(i * length, (i + 1) * length),
  );
  // The published code takes an eos id of 0 for "no eos token".
  const ignoredLabel = tokenizer.eosTokenId || null;
  return { sequences, length, ignoredLabel, digest: await digest(sequences, ignoredLabel) };
}

/** The first sequences of a set that have at most so many tokens together; the first one in any case. */
export async function beginning(set: CalibrationSet, tokens: number): Promise<CalibrationSet> {
  const sequences = set.sequences.slice(0, Math.max(1, Math.floor(tokens / set.length)));
  return { ...set, sequences, digest: await digest(sequences, set.ignoredLabel) };
}

/** Two sets of equally long sequences as one. */
export async function joined(a: CalibrationSet, b: CalibrationSet): Promise<CalibrationSet> {
  const sequences = [...a.sequences, ...b.sequences];
  return { ...a, sequences, digest: await digest(sequences, a.ignoredLabel) };
}

/** Whether a set is enough to judge by. */
export function isEnoughAside({ sequences }: CalibrationSet): boolean {
  return sequences.length >= FEWEST_ASIDE;
}

/** Of one line with the label rule, and one line of ids a sequence. */
function digest(
  sequences: readonly (readonly number[])[],
  ignoredLabel: number | null,
): Promise<string> {
  const lines = [JSON.stringify({ ignoredLabel }), ...sequences.map((ids) => ids.join(" "))];
  return sha256(new TextEncoder().encode(lines.join("\n")));
}
