import { join } from "node:path";

/** Folders in folders, as deep as a data set has them; deeper ones are something else. */
const MAX_DEPTH = 6;

/**
 * The files in a folder and in those within it, by their paths from there with slashes, in order of code units; links to
 * files count, hidden ones do not. A folder that does not exist has none.
 */
export async function listFilesDeep(folder: string, depth = MAX_DEPTH): Promise<readonly string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (name.startsWith(".")) continue;
      if (!isDirectory) found.push(name);
      else if (depth > 1) {
        const inner = await listFilesDeep(join(folder, name), depth - 1);
        found.push(...inner.map((path) => `${name}/${path}`));
      }
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  }
  return found.sort();
}
