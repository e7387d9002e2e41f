import {
  BlobSource,
  type ByteSource,
  checkFileName,
  entryNames,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "@lopper/formats";

/** Files that somebody dropped or chose, by their paths with slashes. */
export class BlobFolder implements ModelFolder {
  readonly name: string;
  readonly #files: ReadonlyMap<string, Blob>;
  readonly #onOpen: (path: string) => void;

  /** @param onOpen hears the path of each file that is opened. */
  constructor(
    name: string,
    files: ReadonlyMap<string, Blob>,
    onOpen: (path: string) => void = () => {},
  ) {
    this.name = name;
    this.#files = files;
    this.#onOpen = onOpen;
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
      const blob = this.#files.get(file);
      if (!blob) throw missingFile(this.name, file);
      this.#onOpen(file);
      return Promise.resolve(new BlobSource(`${this.name}/${file}`, blob));
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
      .map(([path, blob]) => [path.slice(name.length + 1), blob] as const);
    const onOpen = (path: string) => this.#onOpen(`${name}/${path}`);
    return new BlobFolder(`${this.name}/${name}`, new Map(inside), onOpen);
  }
}
