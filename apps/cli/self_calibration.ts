import type { Backend } from "@lopper/backends";
import { CalibrationError, type ModelSpec, seal, unseal, UsageError } from "@lopper/core";
import { INPUTS, type Model, type Tokenizer } from "@lopper/model-io";
import { readInputIfThere, writeTextFileAtomically, writing } from "@lopper/model-io/files";
import { expandedWithin } from "@lopper/run";
import { Decoder, LaidOutWeights, sampleSequences, sourceOrder } from "@lopper/runtime";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { jsonOrNull } from "./json_or_null.ts";
import { userPath } from "./paths.ts";

/** What --calibration is given for text that the model writes itself. */
export const SELF = "self";

/** Tokens of a text: long enough to be about something, and short enough for many. */
export const SELF_TOKENS = 256;
/** Sequences that are sampled side by side, if their keys and values take no more than this. */
const MOST_BESIDE = 16;
const CACHE_BYTES = 256e6;
/** The model's own distribution (Williams et al., "Self-calibration", arXiv 2410.17170). */
const TEMPERATURE = 1;

export interface SelfCalibration {
  readonly model: Model;
  readonly modelDigest: string;
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
 * Texts that the dense model writes from the beginning of a text on, for users who have none. They are kept in the user's
 * cache, and found there by all that they depend on.
 * @throws {UsageError} when the tokenizer names no token that a text begins with.
 * @throws {InsufficientMemoryError} when the model does not fit.
 */
export async function selfCalibration(run: SelfCalibration): Promise<readonly string[]> {
  const { model: { spec }, modelDigest, backend, tokenizer, count, seed } = run;
  const start = tokenizer.textStart?.id;
  if (start === undefined) {
    throw new UsageError(
      `--calibration ${SELF}: the tokenizer names neither a BOS nor an EOS token to begin a text with; give a file`,
    );
  }
  const length = Math.min(SELF_TOKENS, run.seqLen);
  const name = [
    modelDigest.replace(/^sha256:/, "").slice(0, 16),
    backend.description.name,
    `seed${seed}`,
    `${count}x${length}`,
  ].join("-");
  const file = join(cacheFolder(), "self-calibration", `${name}.json`);
  const kept = await readInputIfThere(file, INPUTS.kept).catch(orNone);
  // What was lost or changed is not worth a message: the same texts are written anew.
  const known = kept === null ? null : await keptTexts(kept);
  if (known) return known;
  const sequences = await sampleAll(run, start, length);
  const texts = (await Promise.all(sequences.map((ids) => textsOf(ids, spec, tokenizer)))).flat();
  if (texts.length === 0) {
    throw new CalibrationError(
      `--calibration ${SELF}: the model wrote nothing but white space in ${count} texts; give a file`,
    );
  }
  await writing(file, () => Deno.mkdir(dirname(file), { recursive: true }));
  const sealed = await seal({ kind: KEPT, texts });
  await writeTextFileAtomically(file, JSON.stringify(sealed, null, 1) + "\n");
  return texts;
}

const KEPT = "lopper-self-calibration";
const keptSchema = z.strictObject({
  kind: z.literal(KEPT),
  texts: z.array(z.string()).min(1),
});

/** The texts of a file as they were written; null where something of it is not. */
async function keptTexts(text: string): Promise<readonly string[] | null> {
  const sealed = await unseal(jsonOrNull(text));
  return keptSchema.safeParse(sealed?.value).data?.texts ?? null;
}

/** What is no text any more is none. */
function orNone(error: unknown): null {
  if (error instanceof CalibrationError) return null;
  throw error;
}

async function sampleAll(run: SelfCalibration, start: number, length: number) {
  const { model, backend, count, seed, budget, onProgress } = run;
  const beside = sideBySide(model.spec, length);
  const caches = 2 * beside * length * keyValueBytes(model.spec);
  const expandedBytes = expandedWithin(model, backend.description, {
    tokens: beside,
    length: 1,
    beside: [[`keys and values of ${beside} texts`, caches]],
  }, budget);
  const weights = await LaidOutWeights.load(model, sourceOrder(model.spec), { expandedBytes });
  const decoder = new Decoder(backend, weights);
  const sequences: number[][] = [];
  try {
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
  } finally {
    await decoder.dispose();
  }
  return sequences;
}

/** Bytes of the keys and values of one token. */
function keyValueBytes({ layers, headDim }: ModelSpec): number {
  return layers.reduce((sum, { attention }) => sum + 8 * (attention?.kvHeads ?? 0) * headDim, 0);
}

function sideBySide(spec: ModelSpec, length: number): number {
  const fits = Math.floor(CACHE_BYTES / (length * Math.max(1, keyValueBytes(spec))));
  return Math.max(1, Math.min(MOST_BESIDE, fits));
}

/** A sequence's texts, which end-of-text tokens separate. */
async function textsOf(
  ids: readonly number[],
  { eosTokenIds }: ModelSpec,
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

/** Where a user's programs keep what can be made anew; LOPPER_CACHE puts it elsewhere. */
function cacheFolder(): string {
  const own = Deno.env.get("LOPPER_CACHE");
  if (own) return userPath(own);
  const shared = Deno.env.get("XDG_CACHE_HOME");
  if (shared) return join(shared, "lopper");
  const local = Deno.build.os === "windows" ? Deno.env.get("LOCALAPPDATA") : undefined;
  if (local) return join(local, "lopper", "cache");
  const caches = Deno.build.os === "darwin" ? ["Library", "Caches"] : [".cache"];
  return join(homedir(), ...caches, "lopper");
}
