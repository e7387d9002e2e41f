import { type Architecture, hasExperts, UsageError } from "@lopper/core";
import {
  beginning,
  type CalibrationSet,
  calibrationSet,
  calibrationSetIfEnough,
  drawApart,
  drawMixed,
  everySample,
  isEnoughToValidate,
  joined,
  mixedFurther,
  rankingsOf,
  type SampleList,
  type SampleSource,
  type SetText,
  splitOff,
} from "@lopper/importance";
import { refitTokens } from "@lopper/recovery";
import { type Tokenizer, tokensAround } from "@lopper/tokenizers";
import type { RunFlags } from "./schemas/flags.ts";

/** The texts of a run, cut into sequences. */
export interface RunTexts {
  readonly block: CalibrationSet;
  readonly width: CalibrationSet;
  /**
   * What rankings and refits learn from: the text of `block`, extended by samples that were drawn
   * for nothing else.
   */
  readonly extended: CalibrationSet;
  /**
   * Validation text that both and swaps are judged on, apart from `extended`; null where there is
   * too little of it, or no need.
   */
  readonly validation: CalibrationSet | null;
  /**
   * The samples of `block` by the text that they are from, for a mixture of experts that calibrates
   * on several; none otherwise.
   */
  readonly apart: readonly NamedText[];
  /** Text that decides nothing: that of --held-out, or what comes with Lopper. */
  readonly heldOut: CalibrationSet;
  /** The kinds of text that its passages are of, one after the other; none where it is one text. */
  readonly heldOutKinds: readonly HeldOutKind[];
  /** Samples that were drawn for each; fewer than asked for where the file has no more. */
  readonly drawn: { readonly block: number; readonly width: number };
  /** Ids of what the tokenizer puts before a text: none, as a rule, or BOS. */
  readonly textStart: readonly number[];
}

/** One of several calibration texts; null where its samples are too short for a sequence. */
export interface NamedText {
  readonly name: string;
  readonly set: CalibrationSet | null;
}

/** One of several held-out texts. */
export interface HeldOutKind {
  readonly name: string;
  /** Sequences. */
  readonly passages: number;
}

/** Samples of calibration text to draw from, and what messages call them. */
export interface CalibrationSource {
  readonly name: string;
  readonly sources: readonly SampleSource[];
}

/** Where the texts of a run come from. */
export interface TextSources {
  readonly block: CalibrationSource;
  /** Samples for channels and heads; null where they are drawn from those for blocks. */
  readonly width: CalibrationSource | null;
  /** Text that decides nothing: all of one, or as much of the beginning of each of several. */
  readonly heldOut: HeldOutSource | readonly HeldOutSource[];
}

/** Text that decides nothing, and what messages call it. */
export interface HeldOutSource {
  readonly name: string;
  readonly samples: SampleList;
}

/** How much text a run uses. */
export interface TextNeeds {
  /** Samples to score candidates on and to keep aside. */
  readonly drawn: number;
  /** Further samples to learn from, as far as `extendedTokens` go; 0 where nothing is learnt. */
  readonly extraSamples: number;
  readonly extendedTokens: number;
}

/**
 * For each sample that candidates are scored on, so many further ones may be learnt from, as far as
 * `refitTokens` go: a ranking takes one pass over them and a refit one pass a block, which is
 * cheap beside a search.
 */
const EXTRA_SAMPLES = 10;

/** Of each of several held-out texts, tokens that are measured on, and of a sequence at most. */
const KIND_TOKENS = 2048;
const KIND_LENGTH = 256;

/** @throws {UsageError} when sequences are longer than the model takes. */
export function textNeeds(flags: RunFlags, architecture: Architecture): TextNeeds {
  const longest = architecture.maxPositions;
  if (flags.seqLen > longest) {
    throw new UsageError(
      `--seq-len is ${flags.seqLen}; this model takes ${longest} tokens at most`,
    );
  }
  const most = Math.max(flags.samples, flags.widthSamples);
  return {
    drawn: needsValidation(flags) ? 2 * most : most,
    extraSamples: needsExtended(flags) ? EXTRA_SAMPLES * flags.samples : 0,
    extendedTokens: refitTokens(architecture),
  };
}

function needsValidation({ ranking, recover, swap }: RunFlags): boolean {
  return rankingsOf(ranking).length > 1 || recover !== "none" || swap !== "none";
}

/** Whether there are rankings or refits that learn from a text. */
export function needsExtended({ ranking, recover }: RunFlags): boolean {
  return recover !== "none" || rankingsOf(ranking).some(({ needs }) => needs !== "weights");
}

/**
 * Draws, joins, tokenises and cuts the texts of a run.
 * @throws {UsageError} when sequences are longer than the model takes.
 * @throws {CalibrationError} when there is too little text.
 */
export async function cutTexts(
  { block: given, width: givenWidth, heldOut }: TextSources,
  flags: RunFlags,
  architecture: Architecture,
  tokenizer: Tokenizer,
): Promise<RunTexts> {
  const { extraSamples, extendedTokens } = textNeeds(flags, architecture);
  const { sources } = given;
  const block = drawMixed(sources, flags.samples, flags.seed);
  const width = drawMixed(givenWidth?.sources ?? sources, flags.widthSamples, flags.seed);
  const options = { length: flags.seqLen, bos: flags.bos };
  const set = (samples: SetText["samples"], what: string) =>
    calibrationSet({ samples, what }, tokenizer, options);
  const blockSet = await set(block.read(), `calibration text ${given.name}`);
  const taken = givenWidth ? flags.samples : Math.max(flags.samples, flags.widthSamples);
  /** Up to `count` samples that nothing else was drawn for, behind the first `skipped` of them. */
  const further = (skipped: number, count: number, text: Omit<SetText, "samples">) =>
    calibrationSetIfEnough(
      { samples: mixedFurther(sources, taken + skipped, count, flags.seed).read(), ...text },
      tokenizer,
      options,
    );
  // Of all that is drawn for it no more than its beginning is learnt from.
  const extension = { what: "text to learn from", beginning: true };
  const parts = needsValidation(flags)
    ? await judged(blockSet, await further(0, flags.samples, { what: "validation text" }))
    : { calibration: blockSet, validation: null };
  const more = needsExtended(flags) ? await further(flags.samples, extraSamples, extension) : null;
  return {
    block: blockSet,
    validation: parts.validation,
    apart: hasExperts(architecture) ? await apart(sources, flags, tokenizer) : [],
    extended: await beginning(
      more ? await joined(parts.calibration, more) : parts.calibration,
      extendedTokens,
    ),
    width: await set(width.read(), `calibration text ${(givenWidth ?? given).name}`),
    ...await heldOutOf(heldOut, tokenizer, flags),
    drawn: { block: block.count, width: width.count },
    textStart: (await tokensAround(tokenizer)).before,
  };
}

/** Tokens of a sequence of held-out text: of several texts fewer, so that each has some. */
export function heldOutLength({ seqLen }: Pick<RunFlags, "seqLen">, texts: number): number {
  return texts > 1 ? Math.min(seqLen, KIND_LENGTH) : seqLen;
}

/**
 * Held-out text in sequences, by one rule in all presets, since what was measured on it is put side
 * by side.
 */
async function heldOutOf(
  from: TextSources["heldOut"],
  tokenizer: Tokenizer,
  flags: RunFlags,
): Promise<Pick<RunTexts, "heldOut" | "heldOutKinds">> {
  const sources = [from].flat();
  const length = heldOutLength(flags, sources.length);
  const set = ({ name, samples }: HeldOutSource) =>
    calibrationSet(
      { samples: everySample(samples), what: `held-out text ${name}` },
      tokenizer,
      { length, bos: "each" },
    );
  if (sources.length === 1) return { heldOut: await set(sources[0]), heldOutKinds: [] };
  const [first, ...others] = await Promise.all(
    sources.map(async (source) => await beginning(await set(source), KIND_TOKENS)),
  );
  return {
    heldOut: await joined(first, ...others),
    heldOutKinds: [first, ...others].map(({ sequences }, i) => ({
      name: sources[i].name,
      passages: sequences.length,
    })),
  };
}

/** What is drawn of each of several texts, cut by itself. */
async function apart(
  sources: readonly SampleSource[],
  { samples, seed, seqLen, bos }: RunFlags,
  tokenizer: Tokenizer,
): Promise<readonly NamedText[]> {
  if (sources.length === 1) return [];
  const texts: NamedText[] = [];
  for (const [i, drawn] of drawApart(sources, samples, seed).entries()) {
    const name = sources[i].name ?? `text ${i + 1}`;
    const text = { samples: drawn.read(), what: `calibration text ${name}` };
    const set = await calibrationSetIfEnough(text, tokenizer, { length: seqLen, bos });
    texts.push({ name, set });
  }
  return texts;
}

/**
 * What to learn from and what to validate by: further samples, or a part of the set where the file
 * has no more.
 */
async function judged(
  block: CalibrationSet,
  further: CalibrationSet | null,
): Promise<{ readonly calibration: CalibrationSet; readonly validation: CalibrationSet | null }> {
  if (further && isEnoughToValidate(further)) return { calibration: block, validation: further };
  const parts = await splitOff(block);
  return parts
    ? { calibration: parts.first, validation: parts.last }
    : { calibration: block, validation: null };
}
