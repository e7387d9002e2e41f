import { UsageError } from "@lopper/core";
import { codeOf, isPartialName, LOCK_FILE } from "@lopper/files";
import { lstat, readdir } from "node:fs/promises";

/** The folder in a folder where a new result is until it is whole. */
export const NEXT = ".lopper-next";

/**
 * Whether a name in a folder is that of something which is there only while Lopper works, or after
 * a kill.
 */
export function isPassing(name: string): boolean {
  return name === LOCK_FILE || name === NEXT || isPartialName(name);
}

/**
 * Names of what is in the folder that --out names, but for what passes; none where there is no such
 * folder.
 * @throws {UsageError} when it is a file, or a link to nothing.
 */
export async function entriesOfOut(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).filter((name) => !isPassing(name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") {
      const found = await lstat(path).catch(() => null);
      if (!found) return [];
      if (found.isSymbolicLink()) {
        throw new UsageError(`${path} is a link to nothing; --out needs a folder`);
      }
      // Another process made it a moment ago.
      return await entriesOfOut(path);
    }
    if (codeOf(error) === "ENOTDIR") {
      throw new UsageError(`${path} is a file; --out needs a folder`);
    }
    throw error;
  }
}
