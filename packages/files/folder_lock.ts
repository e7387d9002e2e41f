import { FolderBusyError, INPUTS, WriteError } from "@lopper/core";
import { readInputIfThere } from "./open_input.ts";
import { writing } from "./write_error.ts";
import { dirname, join } from "node:path";

/** The file by which a folder is locked; it stands there while somebody works in the folder, or when a kill left it. */
export const LOCK_FILE = ".lopper.lock";

/** Times that a lock is tried for: whoever gives one up removes its file, which others may have opened just before. */
const ATTEMPTS = 20;
/** Between two of them, in milliseconds. */
const PAUSE = 10;
/** What file systems without locks answer. */
const NO_LOCKS = /^(ENOTSUP|EOPNOTSUPP|ENOLCK|ENOSYS)$/;

export interface LockTools {
  /** Locks a file for this process alone, or says that another has it. */
  readonly tryLock?: (file: Deno.FsFile) => Promise<boolean>;
  /** Hears that the file system has no locks, so that none is held. */
  readonly onNoLocks?: () => void;
}

/**
 * A folder that one process works in at a time. The system's own lock on a file in it is what counts, by whatever path the
 * folder is reached: it ends with its process, however that ends, so that the lock of a dead one is free.
 */
export class FolderLock {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  /** Folders that were made for it, the innermost first. */
  readonly #made: readonly string[];

  private constructor(path: string, file: Deno.FsFile, made: readonly string[]) {
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
    const { tryLock = (file) => file.tryLock(true), onNoLocks } = tools;
    const path = join(folder, LOCK_FILE);
    const made = new Set<string>();
    for (let attempt = 1;; attempt++) {
      for (const part of await missing(folder)) made.add(part);
      await writing(folder, () => Deno.mkdir(folder, { recursive: true }));
      const file = await openLock(path);
      if (file !== null) {
        const locked = await tryLock(file).catch((error) => {
          if (!NO_LOCKS.test(error?.code) && !(error instanceof Deno.errors.NotSupported)) {
            file.close();
            throw error;
          }
          onNoLocks?.();
          return true;
        });
        // Its last holder may have removed the file that was opened.
        if (locked && await isThere(file, path)) {
          await sign(file);
          return new FolderLock(path, file, [...made]);
        }
        file.close();
      }
      if (attempt === ATTEMPTS) throw new FolderBusyError(folder, await holder(path));
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  /** @throws {FolderBusyError} when somebody works in a folder; makes nothing and keeps nothing. */
  static async check(folder: string): Promise<void> {
    const path = join(folder, LOCK_FILE);
    const file = await Deno.open(path, { write: true }).catch(() => null);
    if (file === null) return;
    try {
      if (await file.tryLock(true).catch(() => true)) return;
      throw new FolderBusyError(folder, await holder(path));
    } finally {
      file.close();
    }
  }

  /** Gives the folder back, without the lock's file, and without the folder where nothing came into it. */
  async release(): Promise<void> {
    // While it is held, nobody else can take what is removed for theirs.
    await Deno.remove(this.#path).catch(() => {});
    this.#file.close();
    for (const folder of this.#made) {
      try {
        await Deno.remove(folder);
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
    if (await Deno.stat(at).then(() => true, () => false)) return found;
    found.push(at);
    if (dirname(at) === at) return found;
  }
}

/** The opened file, new or not; null when the folder went in the meantime. A link is nobody's lock. */
async function openLock(path: string): Promise<Deno.FsFile | null> {
  const found = await Deno.lstat(path).catch(() => null);
  if (found && !found.isFile) {
    throw new WriteError(path, "something that is no file has its name");
  }
  try {
    return await writing(path, () => Deno.open(path, { write: true, create: true }));
  } catch (error) {
    if (error instanceof Error && error.cause instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function isThere(file: Deno.FsFile, path: string): Promise<boolean> {
  const [opened, found] = [await file.stat(), await Deno.stat(path).catch(() => null)];
  return found !== null && found.ino === opened.ino && found.dev === opened.dev;
}

/** Says in the file who has it. Who cannot say so has it all the same. */
async function sign(file: Deno.FsFile): Promise<void> {
  const allowed = await Deno.permissions.query({ name: "sys", kind: "hostname" });
  const host = allowed.state === "granted" ? ` on ${Deno.hostname()}` : "";
  const text = `process ${Deno.pid}${host}, since ${new Date().toISOString()}\n`;
  try {
    await file.truncate();
    await file.write(new TextEncoder().encode(text));
  } catch { /* the lock is what counts */ }
}

/** Who has a lock, as far as its file says and may be read. */
async function holder(path: string): Promise<string | null> {
  const text = await readInputIfThere(path, INPUTS.lock).catch(() => null);
  return text && /^process \d+( on [\w.-]+)?, since [\w.:-]+\n$/.test(text) ? text.trim() : null;
}
