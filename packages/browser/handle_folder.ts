import {
  BlobSource,
  type ByteSource,
  checkFileName,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "@lopper/formats";
import { type FileHandle, type FolderHandle, isMissing, isOtherKind } from "./handles.ts";

/** A folder that a browser has a handle of: of its own file system, or one that its user chose. */
export class HandleFolder implements ModelFolder {
  readonly name: string;
  /** Null for a folder that is not there, and has no files. */
  readonly #handle: FolderHandle | null;
  /** The way to a folder in it. */
  readonly #below: readonly string[];

  constructor(
    name: string,
    handle: FolderHandle | null,
    below: readonly string[] = [],
  ) {
    this.name = name;
    this.#handle = handle;
    this.#below = below;
  }

  async list(): Promise<readonly string[]> {
    const folder = await this.#folder();
    const names: string[] = [];
    if (folder) { for await (const name of folder.keys()) names.push(name); }
    return names.sort();
  }

  async has(file: string): Promise<boolean> {
    checkFileName(this.name, file);
    return await this.#file(file) !== null;
  }

  async open(file: string): Promise<ByteSource> {
    checkFileName(this.name, file);
    const handle = await this.#file(file);
    if (handle === null) throw missingFile(this.name, file);
    return new BlobSource(`${this.name}/${file}`, await handle.getFile());
  }

  readBytes(file: string, limitBytes: number): Promise<Uint8Array> {
    return readWholeFile(this, file, limitBytes);
  }

  folder(name: string): ModelFolder {
    checkFileName(this.name, name);
    return new HandleFolder(`${this.name}/${name}`, this.#handle, [...this.#below, name]);
  }

  async #file(file: string): Promise<FileHandle | null> {
    const folder = await this.#folder();
    return folder && await orNull(folder.getFileHandle(file));
  }

  async #folder(): Promise<FolderHandle | null> {
    let at = this.#handle;
    for (const name of this.#below) at = at && await orNull(at.getDirectoryHandle(name));
    return at;
  }
}

/** Null for what is not there, or is no such thing. */
async function orNull<T>(handle: Promise<T>): Promise<T | null> {
  try {
    return await handle;
  } catch (error) {
    if (isMissing(error) || isOtherKind(error)) return null;
    throw error;
  }
}
