import { RunFolderError, seal, unseal } from "@lopper/core";
import { EXPORT_RECORD } from "@lopper/exports";
import { INPUTS } from "@lopper/core";
import {
  codeOf,
  FileSink,
  isFile,
  isPartialName,
  readInput,
  syncFolder,
  writeError,
  writeTextFileAtomically,
  writing,
} from "@lopper/files";
import { writeText } from "@lopper/formats";
import { lstat, mkdir, readdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { jsonOrNull } from "./json_or_null.ts";
import { NEXT } from "./out_entries.ts";
import { listedFiles, resultFiles } from "./replaceable.ts";
import { FILES } from "./run_files.ts";

/** The last file of each kind of result: with it, the result is whole. */
const RECORDS: readonly string[] = [FILES.record, EXPORT_RECORD];
/** What a run knows about itself before it has a result. */
export const STATE: readonly string[] = [FILES.settings, FILES.journal];
/** Lists what goes when the new result comes. */
const REPLACED = "replaced.json";

/**
 * A result that is being made, in a folder of its own within the one that it is for. What stands
 * there stays until the new one is whole, and then makes room for it; a kill in between leaves what
 * the next command finishes. Whoever works here holds the lock of the folder.
 */
export class NextResult {
  readonly #folder: string;
  /** Where its files are until `settle`. */
  readonly path: string;

  /** @param folder what the result is for. */
  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, NEXT);
  }

  /** The sink of a file by its path from the folder, with slashes. */
  async sink(file: string): Promise<FileSink> {
    const path = join(this.path, ...file.split("/"));
    const place = join(this.#folder, ...file.split("/"));
    await writing(place, () => mkdir(dirname(path), { recursive: true }));
    return await FileSink.open(path, place);
  }

  async writeText(file: string, text: string): Promise<void> {
    await writeText((name) => this.sink(name), file, text);
  }

  /** Whether a file of it is written. */
  async has(file: string): Promise<boolean> {
    return await isFile(join(this.path, file));
  }

  /** Removes what is written of it. */
  async clear(keep: readonly string[] = []): Promise<void> {
    const names = await namesIn(this.path);
    for (const name of names) {
      if (!keep.includes(name)) await rm(join(this.path, name), { recursive: true });
    }
    if (names.every((name) => !keep.includes(name))) await removeIfThere(this.path);
  }

  /**
   * Puts it in its place if it is whole, and removes the one that was there, all of it and nothing
   * else.
   * @throws {RunFolderError} when something of another's is in the way.
   */
  async settle(): Promise<void> {
    await checkInside(this.#folder, `${NEXT}/`);
    const files = await filesIn(this.path);
    const isWhole = RECORDS.some((name) => files.includes(name));
    if (!isWhole) {
      // All of it was put there, and only the list is left.
      if (files.includes(REPLACED)) await this.clear();
      return;
    }
    const fresh = files.filter((file) => file !== REPLACED);
    for (const file of fresh) await checkInside(this.#folder, file);
    if (!files.includes(REPLACED)) await this.#listReplaced(fresh);
    const replaced = await this.#replaced();
    for (const file of replaced) await checkInside(this.#folder, file);
    // Without a record nobody takes the folder for a whole result, without a config for a model.
    const order = (file: string) => RECORDS.includes(file) ? 2 : file === "config.json" ? 1 : 0;
    const renewed = fresh.filter((file) => order(file) > 0);
    for (const file of [...renewed, ...replaced].sort((a, b) => order(b) - order(a))) {
      await removeFile(this.#folder, file);
    }
    await syncFolder(this.#folder);
    for (const file of fresh.sort((a, b) => order(a) - order(b))) {
      const place = join(this.#folder, ...file.split("/"));
      await writing(place, async () => {
        await mkdir(dirname(place), { recursive: true });
        await rename(join(this.path, ...file.split("/")), place);
      });
      if (order(file) > 0) await syncFolder(this.#folder);
    }
    await this.clear();
  }

  /** Writes down what goes, while all of the old result is still there to say so. */
  async #listReplaced(fresh: readonly string[]): Promise<void> {
    const old = await resultFiles(this.#folder);
    for (const file of fresh) {
      const place = join(this.#folder, file);
      if (old.includes(file) || STATE.includes(file)) continue;
      if (!await lstat(place).catch(() => null)) continue;
      throw new RunFolderError(
        `${place} is not of the result in that folder, and the new one has a file of that name; move it elsewhere`,
      );
    }
    const files = old.filter((file) => !fresh.includes(file));
    const path = join(this.path, REPLACED);
    await writeTextFileAtomically(path, JSON.stringify(await seal({ files })) + "\n");
  }

  /**
   * What goes, as it was written down. @throws {RunFolderError} when the list was changed: nothing
   * goes by such a one.
   */
  async #replaced(): Promise<readonly string[]> {
    const file = join(this.path, REPLACED);
    const sealed = await unseal(jsonOrNull(await readInput(file, INPUTS.record)));
    const files = listedFiles(sealed?.value.files);
    if (files) return files;
    throw new RunFolderError(
      `${file} was changed since Lopper wrote it: its checksum does not fit; what goes when the new result comes is unknown`,
    );
  }
}

/**
 * What is written and removed in a folder stays in it.
 * @param file path of a file from the folder, or of a folder with a slash behind.
 * @throws {RunFolderError} when a link, or a file, stands where a folder on the way is to be.
 */
async function checkInside(folder: string, file: string): Promise<void> {
  const parts = file.split("/").slice(0, -1);
  for (const [i] of parts.entries()) {
    const path = join(folder, ...parts.slice(0, i + 1));
    const found = await lstat(path).catch(() => null);
    if (!found || found.isDirectory()) continue;
    throw new RunFolderError(
      `${path} is ${
        found.isSymbolicLink() ? "a link" : "a file"
      }, and a folder is needed there; move it elsewhere`,
    );
  }
}

/**
 * What kills left of files that were being written in a folder itself; whoever holds its lock knows
 * that nobody writes.
 */
export async function removePartials(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    if (isPartialName(name)) await removeIfThere(join(folder, name));
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Files in a folder and the folders within, by their paths with slashes; partial ones are none. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await namesIn(folder)) {
    if ((await lstat(join(folder, name))).isDirectory()) {
      found.push(...(await filesIn(join(folder, name))).map((file) => `${name}/${file}`));
    } else if (!isPartialName(name)) found.push(name);
  }
  return found;
}

/** Removes a file, and the folders that it leaves empty. */
async function removeFile(folder: string, file: string): Promise<void> {
  const parts = file.split("/");
  await removeIfThere(join(folder, ...parts));
  for (let n = parts.length - 1; n > 0; n--) {
    const parent = join(folder, ...parts.slice(0, n));
    if ((await namesIn(parent)).length > 0) return;
    await removeIfThere(parent);
  }
}

/** Removes a file, a link or an empty folder. */
async function removeIfThere(path: string): Promise<void> {
  try {
    await ((await lstat(path)).isDirectory() ? rmdir(path) : unlink(path));
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw writeError(path, error);
  }
}
