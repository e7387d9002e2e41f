import { CheckpointFormatError, LopperError } from "@lopper/core";
import {
  type ByteSource,
  checkFileName,
  entryNames,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "@lopper/formats";
import { fateOf } from "./folder_files.ts";

/**
 * A model's folder as it was when the model was opened: what was there is looked for once, and a
 * file that is gone later is an error instead of a file that was never there.
 */
export class KnownFolder implements ModelFolder {
  readonly name: string;
  readonly #base: ModelFolder;
  readonly #names: readonly string[];
  readonly #files: ReadonlySet<string>;
  readonly #folders: ReadonlyMap<string, KnownFolder>;

  private constructor(
    base: ModelFolder,
    names: readonly string[],
    files: ReadonlySet<string>,
    folders: ReadonlyMap<string, KnownFolder>,
  ) {
    this.name = base.name;
    this.#base = base;
    this.#names = names;
    this.#files = files;
    this.#folders = folders;
  }

  /**
   * Looks at a folder.
   * @param folders in it that are looked at, too, where they are there.
   * @throws {CheckpointFormatError} when there is no such folder.
   */
  static async of(base: ModelFolder, folders: readonly string[] = []): Promise<KnownFolder> {
    if (base instanceof KnownFolder) return base;
    // A folder in memory lists what lies deeper, too, by its path.
    const names = entryNames(await base.list());
    const files = new Set<string>();
    for (const name of names) if (await isFile(base, name)) files.add(name);
    const inner = new Map<string, KnownFolder>();
    for (const name of folders) {
      if (!names.includes(name) || files.has(name)) continue;
      inner.set(name, await KnownFolder.of(base.folder(name)));
    }
    return new KnownFolder(base, names, files, inner);
  }

  list(): Promise<readonly string[]> {
    return Promise.resolve(this.#names);
  }

  has(file: string): Promise<boolean> {
    return Promise.resolve(this.#files.has(file));
  }

  async open(file: string): Promise<ByteSource> {
    checkFileName(this.name, file);
    if (!this.#files.has(file)) throw missingFile(this.name, file);
    try {
      return await this.#base.open(file);
    } catch (error) {
      if (await this.#base.has(file)) throw error;
      throw new CheckpointFormatError(
        "the file was there when the model was opened, and is gone; put it back and begin again",
        { file: `${this.name}/${file}` },
        { cause: error },
      );
    }
  }

  readBytes(file: string, limitBytes: number): Promise<Uint8Array> {
    return readWholeFile(this, file, limitBytes);
  }

  folder(name: string): ModelFolder {
    return this.#folders.get(name) ?? this.#base.folder(name);
  }
}

/**
 * Whether a name is a file's. One that cannot be asked for is none: names that no model's files
 * have, such as those of Windows' "a:Zone.Identifier", and what nobody opens, such as a link to
 * itself.
 */
async function isFile(folder: ModelFolder, name: string): Promise<boolean> {
  try {
    return await folder.has(name);
  } catch (error) {
    if (error instanceof LopperError || fateOf(name) === "silent") return false;
    throw error;
  }
}
