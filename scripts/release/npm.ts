/**
 * Makes the package for npm: a folder, and the file that npm would publish.
 *
 * Usage: deno task npm [--out FOLDER]
 *   --out  where they go; dist by default
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { writeChecksums } from "./checksums.ts";
import { packNpm, writeNpmPackage } from "./npm_package.ts";

const options = { out: { type: "string", default: "dist" } } as const;
const { values } = parseArgs({ args: Deno.args, options });
const out = resolve(values.out);
const folder = join(out, "npm");
await Deno.remove(folder, { recursive: true }).catch(() => {});
await writeNpmPackage(folder);
const file = await packNpm(folder, out);
const megabytes = (await Deno.stat(file)).size / 1e6;
console.log(`${file} (${megabytes.toFixed(1)} MB)`);
await writeChecksums(out);
