import type { Backend } from "@lopper/backends";
import { type Architecture, CalibrationError, headsOf, UsageError } from "@lopper/core";
import type { Model } from "@lopper/models";
import { Decoder, LaidOutWeights, sampleSequences } from "@lopper/runtime";
import type { Tokenizer } from "@lopper/tokenizers";
import { weightRoom } from "./memory.ts";

/** Tokens of a text: long enough to be about something, and short enough for many. */
export const SELF_TOKENS = 256;
/** Sequences that are sampled side by side, if their keys and values take no more than this. */
const MAX_SIDE_BY_SIDE = 16;
const CACHE_BYTES = 256e6;
/** The model's own distribution (Williams et al., "Self-calibration", arXiv 2410.17170). */
const TEMPERATURE = 1;

export interface OwnTexts {
  readonly model: Model;
  readonly backend: Backend;
  readonly tokenizer: Tokenizer;
  /** Tokens that the model takes. */
  readonly seqLen: number;
  /** Texts. */
  readonly count: number;
  readonly seed: number;
  /** Bytes that it may take. */
  readonly budget: number;
  /** Hears of tokens; may throw to stop. */
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * The token that texts of the model's own begin with.
 * @throws {UsageError} when the tokenizer names none.
 */
export function ownTextStart(tokenizer: Tokenizer): number {
  const start = tokenizer.textStart?.id;
  if (start !== undefined) return start;
  throw new UsageError(
    "--calibration self: the tokenizer names neither a BOS nor an EOS token to begin a text with; give a file",
  );
}

/** Tokens of a text of the model's own, where it takes sequences of so many. */
export function ownTextLength(seqLen: number): number {
  return Math.min(SELF_TOKENS, seqLen);
}

/**
 * Texts that the dense model writes from the beginning of a text on, for users who have none.
 * @throws {UsageError} when the tokenizer names no token that a text begins with.
 * @throws {CalibrationError} when the model writes nothing but white space.
 * @throws {InsufficientMemoryError} when the model does not fit.
 */
export async function ownTexts(run: OwnTexts): Promise<readonly string[]> {
  const { model: { architecture }, tokenizer, count } = run;
  const sequences = await sampleAll(run, ownTextStart(tokenizer), ownTextLength(run.seqLen));
  const texts = (await Promise.all(sequences.map((ids) => textsOf(ids, architecture, tokenizer))))
    .flat();
  if (texts.length > 0) return texts;
  throw new CalibrationError(
    `--calibration self: the model wrote nothing but white space in ${count} texts; give a file`,
  );
}

async function sampleAll(run: OwnTexts, start: number, length: number) {
  const { model, backend, count, seed, budget, onProgress } = run;
  const beside = sideBySide(model.architecture, length);
  const caches = 2 * beside * length * keyValueBytes(model.architecture);
  const room = weightRoom(model, backend.description, {
    tokens: beside,
    length: 1,
    beside: [[`keys and values of ${beside} texts`, caches]],
  }, budget);
  const weights = await LaidOutWeights.load(model, room);
  await using decoder = new Decoder(backend, weights);
  const sequences: number[][] = [];
  while (sequences.length < count) {
    const done = sequences.length;
    const n = Math.min(beside, count - done);
    sequences.push(
      ...await sampleSequences(decoder, {
        start,
        length,
        temperature: TEMPERATURE,
        seeds: Array.from({ length: n }, (_, i) => seed + done + i),
        onProgress: (tokens) => onProgress(done * length + n * tokens, count * length),
      }),
    );
  }
  return sequences;
}

/** Bytes of the keys and values of one token. */
function keyValueBytes({ blocks, headDim }: Architecture): number {
  const heads = blocks.map((block) => block.attention ? headsOf(block).kvHeads : 0);
  return heads.reduce((sum, kvHeads) => sum + 8 * kvHeads * headDim, 0);
}

function sideBySide(architecture: Architecture, length: number): number {
  const fits = Math.floor(CACHE_BYTES / (length * Math.max(1, keyValueBytes(architecture))));
  return Math.max(1, Math.min(MAX_SIDE_BY_SIDE, fits));
}

/** A sequence's texts, which end-of-text tokens separate. */
async function textsOf(
  ids: readonly number[],
  { eosTokenIds }: Architecture,
  tokenizer: Tokenizer,
): Promise<readonly string[]> {
  const texts: number[][] = [[]];
  for (const id of ids) {
    if (eosTokenIds.includes(id)) texts.push([]);
    else texts.at(-1)!.push(id);
  }
  const decoded = await Promise.all(texts.map((text) => tokenizer.decode(text)));
  return decoded.map((text) => text.trim()).filter((text) => text !== "");
}
