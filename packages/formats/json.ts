import { CheckpointFormatError, parseStrictJson } from "@lopper/core";
import { decodeText } from "./decode_text.ts";
import type { ModelFolder } from "./model_folder.ts";
import { z } from "zod";

/**
 * Larger than any tokenizer.json in use (Llama 3: 9 MB, Gemma: 33 MB), or list of tensors
 * (DeepSeek-V3: 9 MB).
 */
const MAX_LARGE_BYTES = 128 * 1024 * 1024;
const LARGE = /^tokenizer\.json$|\.index\.json$/;
/** What else is JSON in a model folder has some kB; those of a mixture of many widths 1 MB. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Keys of these are tokens, which may be any text, or tensors; they are many. */
const TOKENS = /^tokenizer\.json$|^added_tokens\.json$|\.index\.json$/;

/** An object with whatever keys; making a schema costs more than using it. */
export const anyObject = z.looseObject({});

/**
 * Reads and checks a JSON file of a model folder.
 * @throws {CheckpointFormatError} when it is missing, too large, not UTF-8, not JSON, or not of the
 *   schema's form; the message names the place in the JSON.
 */
export async function readJson<T>(
  folder: ModelFolder,
  file: string,
  schema: z.ZodType<T>,
  limitBytes?: number,
): Promise<T> {
  return (await readJsonText(folder, file, schema, limitBytes)).json;
}

/** The same, and the text that it was made of. */
export async function readJsonText<T>(
  folder: ModelFolder,
  file: string,
  schema: z.ZodType<T>,
  limitBytes = LARGE.test(file) ? MAX_LARGE_BYTES : MAX_BYTES,
): Promise<{ readonly json: T; readonly text: string }> {
  const text = await readText(folder, file, limitBytes);
  const place = `${folder.name}/${file}`;
  const json = parseText(text, place, { strict: !TOKENS.test(file) });
  return { json: checkJson(json, schema, place), text };
}

/**
 * The text of a file of a model folder, without a byte order mark. @throws {CheckpointFormatError}
 * as `readJson`.
 */
export async function readText(
  folder: ModelFolder,
  file: string,
  limitBytes: number,
): Promise<string> {
  const bytes = await folder.readBytes(file, limitBytes);
  return decodeText(
    bytes,
    (problem, options) =>
      new CheckpointFormatError(problem, { file: `${folder.name}/${file}` }, options),
  );
}

/**
 * Parses UTF-8 JSON.
 * @param options.offset where it begins in its file.
 * @param options.strict refuses what `parseStrictJson` does but a key that is there twice: the last
 *   one counts, as it does in other programs.
 * @throws {CheckpointFormatError} when the bytes are neither.
 */
export function parseJson(
  bytes: Uint8Array,
  file: string,
  { offset, strict = false }: { readonly offset?: number; readonly strict?: boolean } = {},
): unknown {
  const text = decodeText(
    bytes,
    (problem, options) => new CheckpointFormatError(problem, { file, offset }, options),
  );
  return parseText(text, file, { offset, strict });
}

function parseText(
  text: string,
  file: string,
  { offset, strict }: { readonly offset?: number; readonly strict: boolean },
): unknown {
  try {
    return strict ? parseStrictJson(text, { lastCounts: true }) : JSON.parse(text);
  } catch (error) {
    // A RangeError is V8's answer to nesting without end.
    const reason = error instanceof Error ? error.message : String(error);
    const problem = strict ? reason : `not JSON (${reason})`;
    throw new CheckpointFormatError(problem, { file, offset }, { cause: error });
  }
}

/** @throws {CheckpointFormatError} naming the first place that is not of the schema's form. */
export function checkJson<T>(json: unknown, schema: z.ZodType<T>, file: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  const place = path.length === 0 ? "the whole" : path.join(".");
  throw new CheckpointFormatError(`${place}: ${message}`, { file });
}
