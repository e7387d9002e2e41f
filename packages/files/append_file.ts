import { INPUTS, refusalOf, WriteError } from "@lopper/core";
import { decodeText } from "@lopper/formats";
import { FileSource } from "./file_source.ts";
import { writing } from "./write_error.ts";

const NEWLINE = 10;

/** A text file that only grows, line by line; a line is on the disk before `appendLine` returns. */
export class AppendFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #open = true;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<AppendFile> {
    await checkNoLink(path);
    const file = await writing(path, () => Deno.open(path, { append: true, create: true }));
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
    await writing(this.#path, async () => {
      for (let n = 0; n < bytes.byteLength;) n += await this.#file.write(bytes.subarray(n));
      await this.#file.syncData();
    });
    await this.checkInPlace();
  }

  /** @throws {WriteError} when the file is not at its path any more, so that nobody finds what was written to it. */
  async checkInPlace(): Promise<void> {
    const opened = await this.#file.stat();
    const found = await Deno.stat(this.#path).catch(() => null);
    if (found && found.ino === opened.ino && found.dev === opened.dev) return;
    throw new WriteError(
      this.#path,
      "somebody moved or removed it, or its folder, in the meantime",
    );
  }

  close() {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }

  /**
   * The complete lines of a file, and whether bytes without a line end follow them: what a crash leaves of the line that
   * was being written. A file that does not exist has no lines.
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
    if (end < bytes.byteLength) await writing(path, () => Deno.truncate(path, end));
  }
}

/** Nothing is written through a link: what it leads to is somebody's. @throws {WriteError} when the file is one. */
async function checkNoLink(path: string): Promise<void> {
  const found = await Deno.lstat(path).catch(() => null);
  if (found?.isSymlink) throw new WriteError(path, "it is a link to another file");
}

async function readIfExists(path: string): Promise<Uint8Array> {
  let source;
  try {
    source = await FileSource.open(path, INPUTS.journal);
    return await source.read(0, source.size);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array(0);
    throw error;
  } finally {
    source?.close();
  }
}
