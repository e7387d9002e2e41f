import {
  type ByteSource,
  checkFileName,
  entryNames,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "@lopper/formats";
import { FileSource } from "../file_source.ts";
import type { HubClient } from "./client.ts";
import type { Revision } from "./revision.ts";
import { cachedFile } from "./snapshot.ts";

/**
 * A revision of a model as the folder that it would be: what is in it is known before anything is
 * downloaded, and a file is when it is opened.
 */
export class HubFolder implements ModelFolder {
  readonly name: string;
  readonly #client: HubClient;
  readonly #revision: Revision;
  /** Path from the repository, with a slash at the end; "" for the repository itself. */
  readonly #under: string;

  constructor(client: HubClient, revision: Revision, under = "") {
    this.name = `${revision.repository.name}/${under}`.replace(/\/$/, "");
    this.#client = client;
    this.#revision = revision;
    this.#under = under;
  }

  list(): Promise<readonly string[]> {
    const below = [...this.#revision.files.keys()].filter((path) => path.startsWith(this.#under));
    return Promise.resolve(entryNames(below.map((path) => path.slice(this.#under.length))));
  }

  has(file: string): Promise<boolean> {
    return Promise.resolve(this.#revision.files.has(this.#under + file));
  }

  async open(file: string): Promise<ByteSource> {
    checkFileName(this.name, file);
    const found = this.#revision.files.get(this.#under + file);
    if (!found) throw missingFile(this.name, file);
    const [client, revision] = [this.#client, this.#revision];
    const path = await cachedFile({ client, revision, file: found, onBytes: () => {} });
    return await FileSource.open(path);
  }

  readBytes(file: string, limitBytes: number): Promise<Uint8Array> {
    return readWholeFile(this, file, limitBytes);
  }

  folder(name: string): ModelFolder {
    checkFileName(this.name, name);
    return new HubFolder(this.#client, this.#revision, `${this.#under}${name}/`);
  }
}
