import { CARD_FILE, isOwnCard } from "@lopper/card";
import { LopperError, unseal, UsageError } from "@lopper/core";
import { EXPORT_RECORD } from "@lopper/exports";
import { type InputKind, INPUTS } from "@lopper/core";
import { readInputIfThere } from "@lopper/files";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { jsonOrNull } from "./json_or_null.ts";
import { entriesOfOut, isPassing } from "./out_entries.ts";
import { FILES } from "./run_files.ts";

/**
 * What a result is besides its state and its card, where its record does not list it: versions up
 * to 0.2.0 wrote no list, and one that was changed is not believed.
 */
const UNLISTED =
  /^(config\.json|model\.safetensors(\.index\.json)?|model-\d{5}-of-\d{5}\.safetensors|generation_config\.json|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|tokenizer\.model|vocab\.json|merges\.txt|added_tokens\.json|chat_template\.jinja|(configuration|modeling)_lopper\.py)$/;

/** What those versions left of a file that they were writing when they were killed. */
const LEFT_OF = /^\.(.+)\.partial$/;

/** A name of a file as a run may have written it. */
export function isRunFile(name: string): boolean {
  const whole = LEFT_OF.exec(name)?.[1] ?? name;
  return (Object.values(FILES) as string[]).includes(whole) || UNLISTED.test(whole);
}

/** Whether a file in the folder of a run is what a kill left of a file of that run. */
export function isLeftOver(name: string): boolean {
  return LEFT_OF.test(name) && isRunFile(name);
}

/**
 * The object in a JSON file of Lopper's; null where there is none, or it is something else than it
 * was taken for.
 */
export async function ownRecord(
  file: string,
  input: InputKind,
  kind: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  const text = await ownText(file, input);
  const value = text === null ? null : jsonOrNull(text) as Record<string, unknown> | null;
  return value?.kind === kind ? value : null;
}

async function ownText(file: string, input: InputKind): Promise<string | null> {
  return await readInputIfThere(file, input).catch((error) => {
    // a folder of that name, say, or a file far too large
    if (error instanceof LopperError) return null;
    throw error;
  });
}

/**
 * Whether a folder says that it is a run's; settings and records that were damaged still say so.
 */
async function saysRun(path: string): Promise<boolean> {
  const texts = [
    await ownText(join(path, FILES.record), INPUTS.record),
    await ownText(join(path, FILES.settings), INPUTS.settings),
  ];
  return texts.some((text) => text !== null && /"kind"\s*:\s*"lopper-run(-settings)?"/.test(text));
}

/**
 * The files of the result in a folder, by their paths from there, its record included; none where
 * there is no result. What a run knows about itself is not among them.
 */
export async function resultFiles(path: string): Promise<readonly string[]> {
  const exported = await ownRecord(join(path, EXPORT_RECORD), INPUTS.exportRecord, "lopper-export");
  if (exported) return [...await filesOf(exported) ?? [], EXPORT_RECORD];
  if (!await saysRun(path)) return [];
  const names = await entriesOfOut(path);
  const record = await ownRecord(join(path, FILES.record), INPUTS.record, "lopper-run");
  const listed = record && await filesOf(record);
  const files = listed ?? [...names.filter(isRunFile), ...await ownCard(path)];
  const beside = [FILES.record, FILES.report, ...names.filter(isLeftOver)];
  const state: readonly string[] = [FILES.settings, FILES.journal];
  return [...new Set([...files, ...beside])].filter((file) => !state.includes(file));
}

/** The card in a folder, where it is as Lopper wrote it: any other may be somebody's. */
async function ownCard(path: string): Promise<readonly string[]> {
  const card = await ownText(join(path, CARD_FILE), INPUTS.card);
  return card !== null && await isOwnCard(card) ? [CARD_FILE] : [];
}

/**
 * Whether all that stands in a folder is a run of Lopper's, finished or not, so that another may
 * replace it.
 * @throws {UsageError} naming what in the folder is not of a run.
 */
export async function checkRunReplaceable(path: string): Promise<void> {
  const names = (await entriesOfOut(path)).filter((name) => !isLeftOver(name));
  if (names.length === 0) return;
  if (!await saysRun(path)) {
    throw new UsageError(
      `${path} holds no run of Lopper, but ${
        described(names)
      }, and --overwrite replaces runs only; choose another --out`,
    );
  }
  await checkNothingElse(path, [...await resultFiles(path), ...Object.values(FILES)], "run");
}

/**
 * @param files what belongs to the run or export in the folder.
 * @throws {UsageError} when there is something else, which would be lost with it.
 */
export async function checkNothingElse(
  path: string,
  files: readonly string[],
  what: "run" | "export",
): Promise<void> {
  const foreign = await firstForeign(path, files);
  if (foreign === null) return;
  throw new UsageError(
    `${join(path, foreign)} is not a file of the ${what} in that folder, so --overwrite does not ` +
      `replace the folder; move it elsewhere, or choose another --out`,
  );
}

/**
 * The files that a record of a run or an export lists; null where it lists none, or was changed:
 * whatever it lists then may be somebody's own. Versions up to 0.2.0 wrote no checksum.
 */
export async function filesOf(
  record: Readonly<Record<string, unknown>>,
): Promise<readonly string[] | null> {
  const changed = record.checksum !== undefined && await unseal(record) === null;
  return changed ? null : listedFiles(record.files);
}

/** Paths that a record lists, as far as they are files in the folder; null where it lists none. */
export function listedFiles(list: unknown): readonly string[] | null {
  if (!Array.isArray(list)) return null;
  const inside = (file: unknown): file is string =>
    typeof file === "string" && file.split("/").every((part) => /^[^\\:\0]+$/.test(part)) &&
    !file.split("/").some((part) => part === "." || part === "..");
  return list.filter(inside);
}

/**
 * The first entry by name, itself or in a folder, that is not one of the files; a link is none of
 * them.
 */
async function firstForeign(path: string, files: readonly string[]): Promise<string | null> {
  const own = new Set(files);
  const folders = new Set(files.flatMap((file) => {
    const parts = file.split("/");
    return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
  }));
  const search = async (under: string): Promise<string | null> => {
    const entries = await readdir(join(path, under), { withFileTypes: true });
    entries.sort((a, b) => a.name < b.name ? -1 : 1);
    for (const entry of entries) {
      const { name } = entry;
      const file = under + name;
      if (under === "" && (isPassing(name) || entry.isFile() && isLeftOver(name))) continue;
      const foreign = entry.isDirectory() && folders.has(file)
        ? await search(`${file}/`)
        : entry.isFile() && own.has(file)
        ? null
        : file;
      if (foreign !== null) return foreign;
    }
    return null;
  };
  return await search("");
}

function described(names: readonly string[]): string {
  const [first] = [...names].sort();
  return names.length === 1 ? first : `${first} and ${names.length - 1} more`;
}
