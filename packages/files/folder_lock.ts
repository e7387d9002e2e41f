import { FolderBusyError, WriteError } from "@lopper/core";
import { FileSink } from "./file_sink.ts";
import { LockFile, type Refusal, thisProcess } from "./lock_file.ts";
import { isThere } from "./look.ts";
import { codeOf } from "./system_reason.ts";
import { writing } from "./write_error.ts";
import { lstat, mkdir, rmdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";

/**
 * The file by which a folder is locked; it stands there while somebody works in the folder, or when
 * a kill left it.
 */
export const LOCK_FILE = ".lopper.lock";

/**
 * Times that a lock is tried for: whoever gives one up removes its file, which others may have
 * opened just before.
 */
const ATTEMPTS = 20;
/** Between two of them, in milliseconds. */
const PAUSE = 10;

export interface LockTools {
  readonly take?: typeof LockFile.take;
  /** Hears that the file system has no locks, so that none is held. */
  readonly onNoLocks?: () => void;
}

/**
 * A folder that one process works in at a time. The lock on a file in it is what counts, by
 * whatever path the folder is reached; that of a dead process is free.
 */
export class FolderLock {
  readonly #path: string;
  /** None where the file system has no locks. */
  readonly #file: LockFile | null;
  /** Folders that were made for it, the innermost first. */
  readonly #made: readonly string[];

  private constructor(path: string, file: LockFile | null, made: readonly string[]) {
    this.#path = path;
    this.#file = file;
    this.#made = made;
  }

  /**
   * Takes the lock of a folder, which is made where there is none.
   * @throws {FolderBusyError} when another process, or another part of this one, has it.
   * @throws {WriteError} when the folder cannot be made or written to.
   */
  static async take(folder: string, tools: LockTools = {}): Promise<FolderLock> {
    const path = join(folder, LOCK_FILE);
    const made = new Set<string>();
    const words = thisProcess();
    for (let attempt = 1;; attempt++) {
      for (const part of await missing(folder)) made.add(part);
      await writing(folder, () => mkdir(folder, { recursive: true }));
      await checkNoLink(path);
      const found = await tryToTake(path, words, tools.take ?? LockFile.take);
      if (found instanceof LockFile) return new FolderLock(path, found, [...made]);
      const isLast = attempt === ATTEMPTS;
      if (isLast && found instanceof WriteError) throw found;
      const holder = isLast ? LockFile.holder(path) : null;
      if (found === "no locks" || holder === "no locks") {
        tools.onNoLocks?.();
        return new FolderLock(path, null, [...made]);
      }
      if (isLast) throw new FolderBusyError(folder, holder);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  /** @throws {FolderBusyError} when somebody works in a folder; makes nothing and keeps nothing. */
  static async check(folder: string): Promise<void> {
    const path = join(folder, LOCK_FILE);
    const found = await lstat(path).catch(() => null);
    if (!found?.isFile()) return;
    if (!LockFile.isHeld(path)) return;
    const holder = LockFile.holder(path);
    // A file system without locks keeps nobody out.
    if (holder !== "no locks") throw new FolderBusyError(folder, holder);
  }

  async [Symbol.asyncDispose]() {
    await this.release();
  }

  /**
   * Gives the folder back, without the lock's file, and without the folder where nothing came into
   * it.
   */
  async release(): Promise<void> {
    // While it is held, nobody else can take what is removed for theirs.
    await unlink(this.#path).catch(() => {});
    this.#file?.release();
    // Windows removes no file that is open.
    if (process.platform === "win32") await unlink(this.#path).catch(() => {});
    for (const folder of this.#made) {
      try {
        await rmdir(folder);
      } catch {
        return;
      }
    }
  }
}

/** Folders of a path that do not exist, the innermost first. */
async function missing(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (let at = folder;; at = dirname(at)) {
    if (await isThere(at)) return found;
    found.push(at);
    if (dirname(at) === at) return found;
  }
}

/** A link is nobody's lock. */
async function checkNoLink(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found && !found.isFile()) {
    throw new WriteError(path, "something that is no file has its name");
  }
}

/**
 * What comes of one attempt. The folder may go in the meantime, which another attempt mends as well
 * as a lock that is held.
 * @throws what the system has against the file.
 */
async function tryToTake(
  path: string,
  words: string,
  take: typeof LockFile.take,
): Promise<LockFile | Exclude<Refusal, "torn"> | WriteError> {
  try {
    const found = take(path, words);
    if (found !== "torn") return found;
    await unlink(path).catch(() => {});
  } catch (error) {
    await checkWritable(path);
    return new WriteError(path, (error as Error).message, { cause: error });
  }
  return "held";
}

/**
 * SQLite has few words for why a file cannot be written. @throws {WriteError} with the system's.
 */
async function checkWritable(path: string): Promise<void> {
  try {
    await (await FileSink.open(path)).abort();
  } catch (error) {
    const isGone = error instanceof WriteError && codeOf(error.cause) === "ENOENT";
    if (!isGone) throw error;
  }
}
