import { VERSION } from "@lopper/core";
import { join } from "node:path";
import { compileBinary } from "./compile_binary.ts";
import { binaryName } from "./targets.ts";

/**
 * Makes a binary for each of some systems in a folder, and says what became of each: what Deno's
 * runtime cannot be had for does not keep the others from being made.
 */
export async function compileAll(
  targets: readonly string[],
  out: string,
  deno: string,
): Promise<{ failed: readonly string[] }> {
  const failed: string[] = [];
  await Deno.mkdir(out, { recursive: true });
  for (const target of targets) {
    const file = join(out, binaryName(VERSION, target));
    try {
      await compileBinary(file, { target, deno });
      console.log(`${file} (${((await Deno.stat(file)).size / 1e6).toFixed(0)} MB)`);
    } catch (error) {
      failed.push(target);
      console.error(`${target}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return { failed };
}
