import { INPUTS, refusalOf, WriteError } from "@lopper/core";
import { decodeText } from "@lopper/formats";
import { FileSource } from "./file_source.ts";
import { codeOf } from "./system_reason.ts";
import { writing } from "./write_error.ts";
import fs from "node:fs";
import { lstat, stat, truncate } from "node:fs/promises";

const NEWLINE = 10;

/** A text file that only grows, line by line; a line is on the disk before `appendLine` returns. */
export class AppendFile {
  readonly #path: string;
  readonly #file: number;
  #open = true;

  /** @param file its number among those that are open. */
  private constructor(path: string, file: number) {
    this.#path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<AppendFile> {
    await checkNoLink(path);
    const file = await writing(path, () => fs.openSync(path, "a"));
    return new AppendFile(path, file);
  }

  /** Appends one line and syncs it to the disk. */
  appendLine(text: string): Promise<void> {
    return this.appendLines([text]);
  }

  /** Appends lines and syncs them to the disk at once. */
  async appendLines(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    if (lines.some((text) => text.includes("\n"))) {
      throw new TypeError("a line holds no line ends");
    }
    const bytes = new TextEncoder().encode(lines.join("\n") + "\n");
    await writing(this.#path, () => {
      for (let n = 0; n < bytes.byteLength;) n += fs.writeSync(this.#file, bytes, n);
      fs.fdatasyncSync(this.#file);
    });
    await this.checkInPlace();
  }

  /**
   * @throws {WriteError} when the file is not at its path any more, so that nobody finds what was
   * written to it.
   */
  async checkInPlace(): Promise<void> {
    const opened = fs.fstatSync(this.#file);
    const found = await stat(this.#path).catch(() => null);
    if (found && found.ino === opened.ino && found.dev === opened.dev) return;
    throw new WriteError(
      this.#path,
      "somebody moved or removed it, or its folder, in the meantime",
    );
  }

  close() {
    if (!this.#open) return;
    this.#open = false;
    fs.closeSync(this.#file);
  }

  /**
   * The complete lines of a file, and whether bytes without a line end follow them: what a crash
   * leaves of the line that was being written. A file that does not exist has no lines.
   * @throws {ResumeError} for what is no regular file, too large, or no UTF-8.
   */
  static async readLines(path: string): Promise<{ lines: string[]; tornTail: boolean }> {
    const bytes = await readIfExists(path);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    const text = decodeText(bytes.subarray(0, end), refusalOf(INPUTS.journal, path));
    return { lines: text.split("\n").slice(0, -1), tornTail: end < bytes.byteLength };
  }

  /** Cuts off an incomplete last line. */
  static async truncateTornTail(path: string): Promise<void> {
    await checkNoLink(path);
    const bytes = await readIfExists(path);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    if (end < bytes.byteLength) await writing(path, () => truncate(path, end));
  }
}

/**
 * Nothing is written through a link: what it leads to is somebody's. @throws {WriteError} when the
 * file is one.
 */
async function checkNoLink(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found?.isSymbolicLink()) throw new WriteError(path, "it is a link to another file");
}

async function readIfExists(path: string): Promise<Uint8Array> {
  let source;
  try {
    source = await FileSource.open(path, INPUTS.journal);
    return await source.read(0, source.size);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return new Uint8Array(0);
    throw error;
  } finally {
    source?.close();
  }
}
