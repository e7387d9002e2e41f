import { FolderLock } from "@lopper/files";
import { NextResult } from "./next_result.ts";
import { entriesOfOut } from "./out_entries.ts";

/**
 * Takes the folder that --out names for this process alone, and finishes what a kill left half-way
 * there.
 * @param warn hears that the file system cannot keep others out.
 * @throws {UsageError} when it is a file.
 * @throws {FolderBusyError} when another process has it.
 */
export async function lockFolder(
  path: string,
  warn: (message: string) => void,
): Promise<FolderLock> {
  await entriesOfOut(path);
  const onNoLocks = () =>
    warn(`the file system of ${path} has no locks; no other Lopper may work there now`);
  const lock = await FolderLock.take(path, { onNoLocks });
  try {
    await new NextResult(path).settle();
    return lock;
  } catch (error) {
    await lock.release();
    throw error;
  }
}
