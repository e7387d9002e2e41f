import { sha256 } from "@lopper/core";
import { FileSource } from "./file_source.ts";
import { stat } from "node:fs/promises";

/**
 * Bytes of a file by which one that was only touched is known again: whole files of words and
 * settings, and what a GGUF file has before its weights, which have a digest of their own.
 */
const MAX_HEAD_BYTES = 64 * 1024 * 1024;
/** Nothing but weights, and where they lie. */
const WEIGHTS_ONLY = /\.safetensors$/i;

/** What a file looked like when it was opened first. */
interface Snapshot {
  readonly size: number;
  /**
   * Of the last change of its bytes, and of anything about it, in milliseconds; identity of the
   * file.
   */
  readonly stamp: string;
  /** Of its first bytes. */
  readonly head: string;
}

export interface ChangedFile {
  readonly path: string;
  /** "touched" where its size and its first bytes are as they were. */
  readonly how: "gone" | "changed" | "touched";
}

/**
 * Remembers files of a source when they are opened, to say in the end whether they are still those
 * that were read.
 */
export class SourceWatch {
  readonly #snapshots = new Map<string, Snapshot>();

  /** Looks at a file that is about to be opened; one that does not exist is none. */
  async see(path: string): Promise<void> {
    if (this.#snapshots.has(path)) return;
    const snapshot = await look(path);
    if (snapshot) this.#snapshots.set(path, { ...snapshot, head: await headOf(path) });
  }

  /** Files that are not as they were, in the order of their names. */
  async changed(): Promise<readonly ChangedFile[]> {
    const found: ChangedFile[] = [];
    for (const [path, before] of [...this.#snapshots].sort(([a], [b]) => a < b ? -1 : 1)) {
      const now = await look(path);
      if (now?.stamp === before.stamp && now.size === before.size) continue;
      const how = !now
        ? "gone"
        : now.size !== before.size || await headOf(path) !== before.head
        ? "changed"
        : "touched";
      found.push({ path, how });
    }
    return found;
  }
}

async function look(path: string): Promise<Omit<Snapshot, "head"> | null> {
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) return null;
  const { size, mtimeMs, ctimeMs, dev, ino } = found;
  return { size, stamp: [mtimeMs, ctimeMs, dev, ino].join() };
}

async function headOf(path: string): Promise<string> {
  if (WEIGHTS_ONLY.test(path)) return "";
  const source = await FileSource.open(path);
  try {
    return await sha256(await source.read(0, Math.min(source.size, MAX_HEAD_BYTES)));
  } finally {
    source.close();
  }
}
