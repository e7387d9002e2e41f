import { z } from "zod";
import type { ByteSink } from "./byte_sink.ts";
import { additionalTemplates, TEMPLATE_FOLDER } from "./folder/chat_templates.ts";
import { CODE_FILES, withoutCode } from "./folder/code_keys.ts";
import { fateOf } from "./folder/folder_files.ts";
import { parseJson } from "./json.ts";
import type { ModelFolder } from "./model_folder.ts";

/** Gives the sink of a file of a folder that is being written; what is written appears on commit only. */
export type OpenSink = (file: string) => Promise<ByteSink>;

const MAX_COMPANION_BYTES = 256 * 1024 * 1024;

/** Writes one file, whole or not at all. */
export async function writeFile(
  open: OpenSink,
  file: string,
  fill: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  const sink = await open(file);
  try {
    await fill(sink);
    await sink.commit();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** Writes a text file in UTF-8, whole or not at all. */
export function writeText(open: OpenSink, file: string, text: string): Promise<void> {
  return writeFile(open, file, (sink) => sink.write(new TextEncoder().encode(text)));
}

/** Writes JSON as people read it, whole or not at all. */
export function writeJson(open: OpenSink, file: string, value: unknown): Promise<void> {
  return writeText(open, file, JSON.stringify(value, null, 2) + "\n");
}

/**
 * Copies the files that belong to a model beside its config and weights, unchanged but for what names code; returns their
 * paths from the folder.
 * @throws {CheckpointFormatError} when one is gone that was there when the model was opened.
 */
export async function copyCompanions(
  folder: ModelFolder,
  open: OpenSink,
): Promise<readonly string[]> {
  const copied: string[] = [];
  for (const { from, file, path } of await companions(folder)) {
    const bytes = await from.readBytes(file, MAX_COMPANION_BYTES);
    const json = CODE_FILES.includes(path) ? parseJson(bytes, `${from.name}/${file}`) : null;
    const plain = withoutCode(json);
    if (plain === json) await writeFile(open, path, (sink) => sink.write(bytes));
    else await writeJson(open, path, withTokenizerClass(json, plain));
    copied.push(path);
  }
  return copied;
}

/** The files of a folder that go along. */
async function companions(folder: ModelFolder) {
  const found: { readonly from: ModelFolder; readonly file: string; readonly path: string }[] = [];
  for (const file of await folder.list()) {
    if (fateOf(file) === "carried" && await folder.has(file)) {
      found.push({ from: folder, file, path: file });
    }
  }
  const from = folder.folder(TEMPLATE_FOLDER);
  for (const file of await additionalTemplates(folder)) {
    found.push({ from, file, path: `${TEMPLATE_FOLDER}/${file}` });
  }
  return found;
}

/** A tokenizer whose class was code of the folder's is the one that tokenizer.json describes. */
function withTokenizerClass(json: unknown, plain: unknown): unknown {
  const named = z.looseObject({ auto_map: z.looseObject({ AutoTokenizer: z.unknown() }) });
  if (!named.safeParse(json).success) return plain;
  return { ...plain as object, tokenizer_class: "PreTrainedTokenizerFast" };
}
