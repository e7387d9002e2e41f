import { basename, join } from "node:path";
import { sha256 } from "./engine_files.ts";

const CHECKSUMS = "SHA256SUMS";

/** Writes the SHA-256 of every file of a folder as `sha256sum --check` reads it. */
export async function writeChecksums(folder: string): Promise<void> {
  const lines: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile || name === CHECKSUMS) continue;
    lines.push(`${await sha256(await Deno.readFile(join(folder, name)))}  ${basename(name)}`);
  }
  if (lines.length === 0) return;
  lines.sort((a, b) => a.slice(64) < b.slice(64) ? -1 : 1);
  await Deno.writeTextFile(join(folder, CHECKSUMS), lines.map((line) => line + "\n").join(""));
}
