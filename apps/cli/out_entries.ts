import { UsageError } from "@lopper/core";

/**
 * Names of what is in the folder that --out names; none where there is no such folder.
 * @throws {UsageError} when it is a file, or a link to nothing.
 */
export async function entriesOfOut(path: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(path)) names.push(entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      if (!await Deno.lstat(path).catch(() => null)) return [];
      throw new UsageError(`${path} is a link to nothing; --out needs a folder`);
    }
    if (error instanceof Deno.errors.NotADirectory) {
      throw new UsageError(`${path} is a file; --out needs a folder`);
    }
    throw error;
  }
  return names;
}
