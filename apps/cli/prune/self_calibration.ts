import { CalibrationError, seal, unseal } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import { readInputIfThere, writeTextFileAtomically, writing } from "@lopper/files";
import { ownTextLength, type OwnTexts, ownTexts, ownTextStart } from "@lopper/run";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { jsonOrNull } from "../shared/folder/json_or_null.ts";
import { cacheFolder } from "../shared/inputs/cache_folder.ts";

export interface SelfCalibration extends OwnTexts {
  readonly modelDigest: string;
}

/**
 * Texts that the dense model writes from the beginning of a text on, for users who have none. They
 * are kept in the user's cache, and found there by all that they depend on.
 * @throws {UsageError} when the tokenizer names no token that a text begins with.
 * @throws {InsufficientMemoryError} when the model does not fit.
 */
export async function selfCalibration(run: SelfCalibration): Promise<readonly string[]> {
  const { modelDigest, backend, tokenizer, count, seed } = run;
  // What cannot be written is refused, whatever is kept.
  ownTextStart(tokenizer);
  const length = ownTextLength(run.seqLen);
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
  const texts = await ownTexts(run);
  await writing(file, () => mkdir(dirname(file), { recursive: true }));
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
