import { z } from "zod";
import { additionalTemplates, TEMPLATE_FOLDER } from "@lopper/tokenizers";
import { CODE_FILES, withoutCode } from "./folder/code_keys.ts";
import { type Fate, fateOf, IMAGES } from "./folder/folder_files.ts";
import { type ModelFolder, type OpenSink, parseJson, writeFile, writeJson } from "@lopper/formats";

const MAX_COMPANION_BYTES = 256 * 1024 * 1024;

/**
 * Copies the files that belong to a model beside its config and weights, unchanged but for what
 * names code; returns their paths from the folder.
 * @param whole those of images and sound, too.
 * @throws {CheckpointFormatError} when one is gone that was there when the model was opened.
 */
export async function copyCompanions(
  folder: ModelFolder,
  open: OpenSink,
  whole = false,
): Promise<readonly string[]> {
  const fates: readonly Fate[] = ["carried", "terms", ...whole ? [IMAGES] : []];
  const templates = (await additionalTemplates(folder)).map((file) => `${TEMPLATE_FOLDER}/${file}`);
  return await copy(folder, [...await filesOf(folder, fates), ...templates], open);
}

/** Copies the terms under which a model may be used, as `copyCompanions`. */
export async function copyTerms(folder: ModelFolder, open: OpenSink): Promise<readonly string[]> {
  return await copy(folder, await filesOf(folder, ["terms"]), open);
}

async function filesOf(folder: ModelFolder, fates: readonly Fate[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const file of await folder.list()) {
    if (fates.includes(fateOf(file)) && await folder.has(file)) files.push(file);
  }
  return files;
}

async function copy(
  folder: ModelFolder,
  paths: readonly string[],
  open: OpenSink,
): Promise<readonly string[]> {
  for (const path of paths) {
    const [file, ...folders] = path.split("/").reverse();
    const from = folders.reduceRight((at, name) => at.folder(name), folder);
    const bytes = await from.readBytes(file, MAX_COMPANION_BYTES);
    const json = CODE_FILES.includes(path) ? parseJson(bytes, `${from.name}/${file}`) : null;
    const plain = withoutCode(json);
    if (plain === json) await writeFile(open, path, (sink) => sink.write(bytes));
    else await writeJson(open, path, withTokenizerClass(json, plain));
  }
  return paths;
}

/** A tokenizer whose class was code of the folder's is the one that tokenizer.json describes. */
function withTokenizerClass(json: unknown, plain: unknown): unknown {
  const named = z.looseObject({ auto_map: z.looseObject({ AutoTokenizer: z.unknown() }) });
  if (!named.safeParse(json).success) return plain;
  return { ...plain as object, tokenizer_class: "PreTrainedTokenizerFast" };
}
