import { CheckpointFormatError } from "@lopper/core";
import {
  type ByteSource,
  checkFileName,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "@lopper/formats";
import { FileSource } from "./file_source.ts";
import type { SourceWatch } from "./source_watch.ts";
import { codeOf } from "./system_reason.ts";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** A local directory. Files in it may be links, as in the Hugging Face cache. */
export class FileFolder implements ModelFolder {
  readonly name: string;
  readonly #watch: SourceWatch | undefined;

  /** @param watch remembers each file that is opened. */
  constructor(path: string, watch?: SourceWatch) {
    this.name = path;
    this.#watch = watch;
  }

  async list(): Promise<readonly string[]> {
    try {
      return (await readdir(this.name)).sort();
    } catch (error) {
      throw this.#explain(error) ?? error;
    }
  }

  async has(file: string): Promise<boolean> {
    checkFileName(this.name, file);
    try {
      // What is there and is no file, such as a pipe, is refused when it is opened.
      return !(await stat(join(this.name, file))).isDirectory();
    } catch (error) {
      if (codeOf(error) === "ENOENT") return false;
      throw this.#explain(error) ?? error;
    }
  }

  async open(file: string): Promise<ByteSource> {
    checkFileName(this.name, file);
    try {
      const path = join(this.name, file);
      // A folder can be opened like a file and fails on the first read only.
      if ((await stat(path)).isDirectory()) throw missingFile(this.name, file);
      const source = await FileSource.open(path);
      await this.#watch?.see(path);
      return source;
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw this.#explain(error) ?? error;
      // Which of the two is missing decides what the user has to do.
      await this.list();
      throw missingFile(this.name, file);
    }
  }

  readBytes(file: string, limitBytes: number): Promise<Uint8Array> {
    return readWholeFile(this, file, limitBytes);
  }

  folder(name: string): ModelFolder {
    checkFileName(this.name, name);
    return new FileFolder(join(this.name, name), this.#watch);
  }

  #explain(error: unknown): CheckpointFormatError | undefined {
    if (codeOf(error) === "ENOENT") {
      return new CheckpointFormatError("there is no such folder", { file: this.name });
    }
    if (codeOf(error) === "ENOTDIR") {
      return new CheckpointFormatError(
        "this is a file; Lopper opens the folder that holds config.json and the weights",
        { file: this.name },
      );
    }
  }
}
