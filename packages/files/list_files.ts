import { isFolder } from "./look.ts";
import { isMissing } from "./system_reason.ts";
import { readdir, realpath } from "node:fs/promises";
import { join, sep } from "node:path";

/** Folders in folders, as deep as a data set has them; deeper ones are something else. */
const MAX_DEPTH = 6;

/**
 * The files in a folder and in those within it, by their paths from there with slashes, in order of
 * code units; links count as what they lead to, hidden files do not count. A folder that does not
 * exist has none.
 */
export async function listFilesDeep(folder: string, depth = MAX_DEPTH): Promise<readonly string[]> {
  return (await filesIn(folder, depth, [])).sort();
}

/** @param above real paths of the folders that this one is in. */
async function filesIn(folder: string, depth: number, above: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  try {
    const real = await realpath(folder);
    // A link to a folder around the one that it is in leads back here.
    if (above.some((inner) => inner === real || inner.startsWith(join(real, sep)))) return [];
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const { name } = entry;
      if (name.startsWith(".")) continue;
      const path = join(folder, name);
      // A link that leads nowhere is refused by its name when it is opened.
      const isInner = entry.isDirectory() || entry.isSymbolicLink() && await isFolder(path);
      if (!isInner) found.push(name);
      else if (depth > 1) {
        const inner = await filesIn(path, depth - 1, [...above, real]);
        for (const file of inner) found.push(`${name}/${file}`);
      }
    }
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return found;
}
