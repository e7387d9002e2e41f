import type { AccessHandle, FolderHandle, OwnFile } from "../handles.ts";

/** Bytes that a file may have. */
export const MEMORY_QUOTA = 2 ** 30;

/** A file that is written in memory as a browser's own file system writes it. */
class MemoryFile implements OwnFile {
  readonly kind = "file";
  name: string;
  readonly #folder: Map<string, MemoryFile | MemoryDirectory>;
  #bytes = new Uint8Array(0);
  #locked = false;

  constructor(folder: Map<string, MemoryFile | MemoryDirectory>, name: string) {
    this.#folder = folder;
    this.name = name;
  }

  getFile(): Promise<File> {
    return Promise.resolve(new File([this.#bytes], this.name));
  }

  createSyncAccessHandle(): Promise<AccessHandle> {
    if (this.#locked) {
      return Promise.reject(new DOMException("another has it", "NoModificationAllowedError"));
    }
    this.#locked = true;
    return Promise.resolve({
      write: (bytes, { at }) => {
        const grown = new Uint8Array(Math.max(this.#bytes.byteLength, at + bytes.byteLength));
        grown.set(this.#bytes);
        grown.set(bytes, at);
        this.#bytes = grown;
        return bytes.byteLength;
      },
      truncate: (size) => {
        if (size > MEMORY_QUOTA) throw new DOMException("it is full", "QuotaExceededError");
        this.#bytes = this.#bytes.slice(0, size);
      },
      getSize: () => this.#bytes.byteLength,
      flush() {},
      close: () => this.#locked = false,
    });
  }

  move(name: string): Promise<void> {
    this.#folder.delete(this.name);
    this.#folder.set(name, this);
    this.name = name;
    return Promise.resolve();
  }
}

/** A folder in memory that answers as a handle of one does. */
export class MemoryDirectory implements FolderHandle {
  readonly kind = "directory";
  readonly name: string;
  readonly #entries = new Map<string, MemoryFile | MemoryDirectory>();

  constructor(name = "") {
    this.name = name;
  }

  async *keys(): AsyncGenerator<string> {
    yield* this.#entries.keys();
  }

  async *entries(): AsyncGenerator<[string, MemoryFile | MemoryDirectory]> {
    yield* this.#entries.entries();
  }

  getFileHandle(name: string, options: { readonly create?: boolean } = {}): Promise<MemoryFile> {
    return this.#entry(name, MemoryFile, options, () => new MemoryFile(this.#entries, name));
  }

  getDirectoryHandle(
    name: string,
    options: { readonly create?: boolean } = {},
  ): Promise<MemoryDirectory> {
    return this.#entry(name, MemoryDirectory, options, () => new MemoryDirectory(name));
  }

  removeEntry(name: string): Promise<void> {
    if (this.#entries.delete(name)) return Promise.resolve();
    return Promise.reject(new DOMException(`there is no ${name}`, "NotFoundError"));
  }

  #entry<T extends MemoryFile | MemoryDirectory>(
    name: string,
    kind: new (...args: never[]) => T,
    { create = false }: { readonly create?: boolean },
    make: () => T,
  ): Promise<T> {
    const found = this.#entries.get(name);
    if (found instanceof kind) return Promise.resolve(found);
    if (found) return Promise.reject(new DOMException("of another kind", "TypeMismatchError"));
    if (!create) return Promise.reject(new DOMException(`there is no ${name}`, "NotFoundError"));
    const made = make();
    this.#entries.set(name, made);
    return Promise.resolve(made);
  }
}
