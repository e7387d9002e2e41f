import { stat } from "node:fs/promises";

/**
 * Whether a path leads to a file, be it by links. What cannot be looked at is none; whoever opens
 * it hears why.
 */
export async function isFile(path: string): Promise<boolean> {
  return await stat(path).then((found) => found.isFile(), () => false);
}

/** As `isFile`, to a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then((found) => found.isDirectory(), () => false);
}

/** As `isFile`, to anything. */
export async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false);
}
