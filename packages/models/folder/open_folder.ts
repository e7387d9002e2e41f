import { anyObject, type ModelFolder, readJson } from "@lopper/formats";
import { readChatTemplates, TEMPLATE_FOLDER } from "@lopper/tokenizers";
import { CODE_FILES, foreignCodeKeys } from "./code_keys.ts";
import { fateOf, IMAGES, listed, type Reason, SENTENCES } from "./folder_files.ts";
import { readGenerationEnds } from "./generation_config.ts";
import { KnownFolder } from "./known_folder.ts";

const CONFIG = "config.json";

/**
 * Looks at a model's folder once: what is read, written and told of it from now on is what was
 * there.
 */
export function lookAtFolder(folder: ModelFolder): Promise<KnownFolder> {
  return KnownFolder.of(folder, [TEMPLATE_FOLDER, "onnx"]);
}

/** What a folder says besides config, weights and tokenizer. */
export interface FolderFacts {
  /** Tokens at which texts end, as generation_config.json has them. */
  readonly eosTokenIds: readonly number[];
  /** What is passed over, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Reads what a model's folder says besides config, weights and tokenizer.
 * @param read paths of the files whose weights are read.
 * @param whole the folder is of a model of more than text, and files of images go along with it.
 * @throws {CheckpointFormatError} when one of the files is malformed.
 */
export async function readFolderFacts(
  folder: KnownFolder,
  read: readonly string[],
  whole: boolean,
): Promise<FolderFacts> {
  const ends = await readGenerationEnds(folder);
  const templates = await readChatTemplates(folder);
  return {
    eosTokenIds: ends.eosTokenIds,
    notes: [...await filesPassedOver(folder, read, whole), ...ends.notes, ...templates.notes],
  };
}

/** A sentence for each reason for which something is passed over. */
async function filesPassedOver(
  folder: KnownFolder,
  read: readonly string[],
  whole: boolean,
): Promise<readonly string[]> {
  const named = new Map<Reason, string[]>();
  const add = (reason: Reason, name: string) =>
    named.set(reason, [...named.get(reason) ?? [], name]);
  const broken: string[] = [];
  for (const { path, isFile } of await entries(folder)) {
    if (read.includes(path)) continue;
    const fate = fateOf(isFile ? path.split("/").at(-1)! : `${path}/`);
    if (whole && fateOf(path) === IMAGES) continue;
    if (typeof fate === "object") add(fate.passedOver, isFile ? path : `${path}/`);
    // The name of a file, and none: a link to nothing, or a folder.
    else if (!isFile && fate === "silent" && fateOf(path) === "carried") broken.push(path);
  }
  for (const key of await codeKeys(folder)) add("code", key);
  const from = read[0] + (read.length > 1 ? ` and ${read.length - 1} more` : "");
  return [
    ...[...named].map(([reason, names]) => SENTENCES[reason](listed(names), from)),
    ...(broken.length === 0
      ? []
      : [`${listed(broken)}: passed over, neither a file nor a link to one`]),
  ];
}

/** What lies in a folder and, where its weights may be, in the folder "onnx". */
async function entries(folder: KnownFolder) {
  const found: { readonly path: string; readonly isFile: boolean }[] = [];
  for (const name of await folder.list()) {
    const isFile = await folder.has(name);
    if (isFile || name !== "onnx") found.push({ path: name, isFile });
    else {
      const inner = folder.folder(name);
      for (const file of await inner.list()) {
        found.push({ path: `${name}/${file}`, isFile: await inner.has(file) });
      }
    }
  }
  return found;
}

/** `auto_map of config.json`, and its like. */
async function codeKeys(folder: ModelFolder): Promise<readonly string[]> {
  const found: string[] = [];
  for (const file of [CONFIG, ...CODE_FILES]) {
    if (!await folder.has(file)) continue;
    const json = await readJson(folder, file, anyObject);
    const keys = foreignCodeKeys(json, `${folder.name}/${file}`);
    found.push(...keys.map((key) => `${key} of ${file}`));
  }
  return found;
}
