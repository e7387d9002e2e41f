import { dirname, join } from "node:path";

/** Paths of all files in a folder and the folders in it, in order. */
export async function filesIn(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    found.push(...isDirectory ? await filesIn(path) : [path]);
  }
  return found.sort();
}

/** Copies a file, or a folder with all that is in it. */
export async function copyFolder(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await copyFile(from, to);
  for await (const { name } of Deno.readDir(from)) {
    await copyFolder(join(from, name), join(to, name));
  }
}

/** Copies a file, to a folder that may not be there yet. */
export async function copyFile(from: string, to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  await Deno.copyFile(from, to);
}
