import { CheckpointFormatError } from "@lopper/core";
import { type ModelFolder, readJson } from "@lopper/formats";
import { readTokenizerFiles } from "./files.ts";
import { quoted } from "./quoted.ts";
import { checkId } from "./vocabulary.ts";
import { z } from "zod";

const TOKENIZER = "tokenizer.json";
const GENERATION_CONFIG = "generation_config.json";

/**
 * Compares a model with its tokenizer: every token needs a row of the embedding. A folder without a
 * tokenizer passes.
 * @param rows of the embedding.
 * @returns what of the tokenizer's files is passed over, one short sentence each.
 * @throws {CheckpointFormatError} naming the file, the token, its id and the rows.
 */
export async function checkTokens(folder: ModelFolder, rows: number): Promise<readonly string[]> {
  if (!await folder.has(TOKENIZER)) return [];
  const { vocabulary, added, templateIds, notes } = await readTokenizerFiles(folder);
  const check = (id: number, what: string, file: string) => {
    if (id < rows) return;
    throw new CheckpointFormatError(
      `${what} has the id ${id}, and the embedding has ${rows} rows; every token needs one`,
      { file },
    );
  };
  for (const [token, id] of vocabulary.ids) {
    check(id, `the token ${quoted(token)}`, `${folder.name}/${TOKENIZER}`);
  }
  for (const [name, ids] of templateIds) {
    const what = `the token ${quoted(name)} of the post_processor`;
    for (const id of ids) check(id, what, `${folder.name}/${TOKENIZER}`);
  }
  for (const { id, content, file } of added) check(id, `the added token ${quoted(content)}`, file);
  return notes;
}

const SPECIAL_IDS = ["bos_token_id", "eos_token_id", "pad_token_id"] as const;
/** "No token", in configs of the first Llama. */
const NO_TOKEN = -1;

/**
 * Checks the ids of special tokens in a config and, where there is one, in generation_config.json.
 * @param file whose config it is, for messages.
 * @throws {CheckpointFormatError} naming the file, the key, the id and the rows of the embedding.
 */
export async function checkSpecialIds(
  folder: ModelFolder,
  { config, file }: { readonly config: Readonly<Record<string, unknown>>; readonly file: string },
  rows: number,
): Promise<void> {
  checkIds(config, file, rows);
  if (!await folder.has(GENERATION_CONFIG)) return;
  const generation = await readJson(folder, GENERATION_CONFIG, z.looseObject({}));
  checkIds(generation, `${folder.name}/${GENERATION_CONFIG}`, rows);
}

function checkIds(config: Readonly<Record<string, unknown>>, file: string, rows: number) {
  for (const key of SPECIAL_IDS) {
    for (const id of [config[key] ?? []].flat()) {
      if (key === "pad_token_id" && id === NO_TOKEN) continue;
      checkId(id, key, file);
      if (id < rows) continue;
      throw new CheckpointFormatError(`${key} is ${id}, and the embedding has ${rows} rows`, {
        file,
      });
    }
  }
}
