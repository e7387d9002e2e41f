/**
 * Makes binaries of the command line.
 *
 * Usage: deno task compile [--target NAME|all]... [--out FOLDER] [--deno FILE]
 *   --target  what for, by Deno's name; this system's by default
 *   --out     where they go; dist by default
 *   --deno    the Deno that compiles; the one that runs this by default
 */
import { parseArgs } from "node:util";
import { writeChecksums } from "./checksums.ts";
import { compileAll } from "./compile_all.ts";
import { targetsOf } from "./targets.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    target: { type: "string", multiple: true, default: [Deno.build.target] },
    out: { type: "string", default: "dist" },
    deno: { type: "string", default: Deno.execPath() },
  },
});
const targets = targetsOf(values.target);
if (typeof targets === "string") {
  console.error(targets);
  Deno.exit(2);
}
const { failed } = await compileAll(targets, values.out, values.deno);
await writeChecksums(values.out);
Deno.exit(failed.length > 0 ? 1 : 0);
