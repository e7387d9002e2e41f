import { type ByteSource, MemorySource } from "./byte_source.ts";
import {
  checkFileName,
  entryNames,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "./model_folder.ts";

/** Opens a file of a list. @param path from the folder of which the list is. */
export type OpenListed<T> = (name: string, content: T, path: string) => ByteSource;

/** A folder of files that are listed by their paths with slashes, all opened in one way. */
export class ListedFolder<T> implements ModelFolder {
  readonly name: string;
  readonly #files: ReadonlyMap<string, T>;
  readonly #open: OpenListed<T>;

  constructor(name: string, files: ReadonlyMap<string, T>, open: OpenListed<T>) {
    this.name = name;
    this.#files = files;
    this.#open = open;
  }

  /** Names of files, and of folders that hold some. */
  list(): Promise<readonly string[]> {
    return Promise.resolve(entryNames(this.#files.keys()));
  }

  has(file: string): Promise<boolean> {
    return Promise.resolve(this.#files.has(file));
  }

  open(file: string): Promise<ByteSource> {
    try {
      checkFileName(this.name, file);
      const content = this.#files.get(file);
      if (content === undefined) throw missingFile(this.name, file);
      return Promise.resolve(this.#open(`${this.name}/${file}`, content, file));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readBytes(file: string, limitBytes: number): Promise<Uint8Array> {
    return readWholeFile(this, file, limitBytes);
  }

  folder(name: string): ModelFolder {
    checkFileName(this.name, name);
    const inside = [...this.#files].filter(([path]) => path.startsWith(`${name}/`))
      .map(([path, content]) => [path.slice(name.length + 1), content] as const);
    const open: OpenListed<T> = (named, content, path) =>
      this.#open(named, content, `${name}/${path}`);
    return new ListedFolder(`${this.name}/${name}`, new Map(inside), open);
  }
}

/** A model in memory: tests, and models that were just made. */
export class MemoryFolder extends ListedFolder<Uint8Array> {
  constructor(name: string, files: Readonly<Record<string, Uint8Array | string>>) {
    const bytes = Object.entries(files).map(([file, content]) =>
      [file, typeof content === "string" ? new TextEncoder().encode(content) : content] as const
    );
    super(name, new Map(bytes), (named, content) => new MemorySource(named, content));
  }
}
