/**
 * Makes the package for npm: a folder, and the file that npm would publish.
 *
 * Usage: deno task npm [--out FOLDER]
 *   --out  where they go; dist by default
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { writeChecksums } from "./checksums.ts";
import { NAME, packNpm, writeNpmPackage } from "./npm_package.ts";

const options = { out: { type: "string", default: "dist" } } as const;
const { values } = parseArgs({ args: Deno.args, options });
const out = resolve(values.out);
const folder = join(out, "npm");
await removeEarlier(folder);
await writeNpmPackage(folder);
const file = await packNpm(folder, out);
const megabytes = (await Deno.stat(file)).size / 1e6;
console.log(`${file} (${megabytes.toFixed(1)} MB)`);
await writeChecksums(out);

/** Removes a package of an earlier call, and nothing else. */
async function removeEarlier(folder: string) {
  if (!await Deno.stat(folder).catch(() => null)) return;
  const manifest = await Deno.readTextFile(join(folder, "package.json")).catch(() => "{}");
  if (JSON.parse(manifest).name !== NAME) {
    console.error(`${folder} is something else than an earlier package; --out names another place`);
    Deno.exit(1);
  }
  await Deno.remove(folder, { recursive: true });
}
