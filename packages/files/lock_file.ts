import { existsSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";

/** What SQLite says of a file that another has locked. */
const LOCKED = /database is locked/;
/** What it says where the file system cannot lock: the call that should do so fails. */
const NO_LOCKS = /disk I\/O error/;
/**
 * A file that no SQLite wrote to its end: its process was killed, or was a Lopper that kept locks
 * in another form.
 */
const TORN = /file is not a database|malformed/;

/**
 * Why a lock was not taken: another has it, or its file is to be removed, or the file system has
 * none.
 */
export type Refusal = "held" | "torn" | "no locks";

interface Holder {
  /** One for each time that a lock is taken. */
  readonly token: string;
  readonly words: string;
}

/**
 * A file that one connection has at a time, by the system's own lock: it ends with its process,
 * however that ends. Node has no call for that and SQLite, which Deno and Node both have, does it
 * on every system, so the lock is a transaction to write. Who has it stands in the file, which
 * others may read meanwhile.
 *
 * No other part of the process may open and close the file: systems drop all locks of a process on
 * a file with that.
 */
export class LockFile {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @param words about who takes it. @throws what SQLite has against the file besides. */
  static take(path: string, words: string): LockFile | Refusal {
    const database = connect(path);
    try {
      // Nothing of it needs to last through a power cut, and no journal is to stand beside it.
      database.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
      const token = crypto.randomUUID();
      database.exec("BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS holder (token TEXT, words TEXT)");
      database.exec("DELETE FROM holder");
      database.prepare("INSERT INTO holder VALUES (?, ?)").run(token, words);
      database.exec("COMMIT; BEGIN IMMEDIATE");
      // Whoever had it before may have removed the file that was opened, and another has a new one.
      if (existsSync(path) && readHolder(path)?.token === token) return new LockFile(database);
      database.close();
      return "held";
    } catch (error) {
      database.close();
      return refusalIn(error);
    }
  }

  /** Whether somebody has it. */
  static isHeld(path: string): boolean {
    const database = connect(path);
    try {
      database.exec("BEGIN IMMEDIATE");
      return false;
    } catch (error) {
      return LOCKED.test(String(error));
    } finally {
      database.close();
    }
  }

  /**
   * Who has it, as far as the file says; "no locks" where not even that may be read, although
   * whoever has the lock keeps nobody from it but for moments.
   */
  static holder(path: string): string | null | "no locks" {
    try {
      return existsSync(path) ? readHolder(path)?.words ?? null : null;
    } catch (error) {
      return LOCKED.test(String(error)) ? "no locks" : null;
    }
  }

  release() {
    this.#database.close();
  }
}

/**
 * Waits for no lock. Deno passes over the option for that where a file is opened to be read only.
 */
function connect(path: string, options: { readonly readOnly?: boolean } = {}): DatabaseSync {
  const database = new DatabaseSync(path, options);
  database.exec("PRAGMA busy_timeout = 0");
  return database;
}

function readHolder(path: string): Holder | undefined {
  const database = connect(path, { readOnly: true });
  try {
    const row = database.prepare("SELECT token, words FROM holder").get();
    return row && { token: String(row.token), words: String(row.words) };
  } finally {
    database.close();
  }
}

function refusalIn(error: unknown): Refusal {
  const message = String(error);
  if (LOCKED.test(message)) return "held";
  if (TORN.test(message)) return "torn";
  if (NO_LOCKS.test(message)) return "no locks";
  throw error;
}

/** Who takes a lock, for others to read. */
export function thisProcess(): string {
  return `process ${process.pid}${host()}, since ${new Date().toISOString()}`;
}

/** Where the process is not allowed to know that, the number has to do. */
function host(): string {
  try {
    return ` on ${hostname()}`;
  } catch {
    return "";
  }
}
