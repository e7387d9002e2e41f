/**
 * Makes binaries of the command line.
 *
 * Usage: deno task compile [--target NAME|all]... [--out FOLDER] [--deno FILE]
 *   --target  what for, by Deno's name; this system's by default
 *   --out     where they go; dist by default
 *   --deno    the Deno that compiles; the one that runs this by default
 */
import { parseArgs } from "node:util";
import { VERSION } from "@lopper/core";
import { join, relative } from "node:path";
import { compileBinary } from "./compile_binary.ts";
import { writeChecksums } from "./checksums.ts";
import { binaryName, TARGETS } from "./targets.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    target: { type: "string", multiple: true, default: [Deno.build.target] },
    out: { type: "string", default: "dist" },
    deno: { type: "string", default: Deno.execPath() },
  },
});
const targets = values.target.includes("all") ? Object.keys(TARGETS) : values.target;
const unknown = targets.find((target) => !Object.hasOwn(TARGETS, target));
if (unknown !== undefined) {
  const known = Object.keys(TARGETS).join(", ");
  console.error(`--target ${unknown} is none of: ${known}, all`);
  Deno.exit(2);
}
let failed = 0;
await Deno.mkdir(values.out, { recursive: true });
for (const target of targets) {
  const out = join(values.out, binaryName(VERSION, target));
  try {
    await compileBinary(out, { target, deno: values.deno });
    const megabytes = (await Deno.stat(out)).size / 1e6;
    console.log(`${relative(".", out)} (${megabytes.toFixed(0)} MB)`);
  } catch (error) {
    failed++;
    console.error(`${target}: ${error instanceof Error ? error.message : error}`);
  }
}
await writeChecksums(values.out);
Deno.exit(failed > 0 ? 1 : 0);
