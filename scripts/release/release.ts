/**
 * Makes everything of a release from one version: the package for npm, a dry run of JSR, and a
 * binary for every system. Publishes nothing; docs and commands for that are in CONTRIBUTING.md.
 *
 * Usage: deno task release [--out FOLDER] [--deno FILE]
 *   --out   where it goes; dist by default
 *   --deno  the Deno that compiles; the one that runs this by default
 */
import { VERSION } from "@lopper/core";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { writeChecksums } from "./checksums.ts";
import { compileAll } from "./compile_all.ts";
import { done } from "./done.ts";
import { packNpm, writeNpmPackage } from "./npm_package.ts";
import { ROOT } from "./root.ts";
import { TARGETS } from "./targets.ts";
import { otherVersions } from "./versions.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    out: { type: "string", default: "dist" },
    deno: { type: "string", default: Deno.execPath() },
  },
});
const out = resolve(values.out);
const changes = await done("git", ["status", "--porcelain"], ROOT);
if (changes !== "") fail(`these files are not as they were committed:\n${changes.trimEnd()}`);
const others = await otherVersions();
if (others.length > 0) fail(`these have another version than ${VERSION}: ${others.join(", ")}`);

await Deno.remove(out, { recursive: true }).catch(() => {});
const folder = join(out, "npm");
await writeNpmPackage(folder);
console.log(await packNpm(folder, out));
await done(Deno.execPath(), ["task", "jsr"], ROOT);
console.log("JSR: the dry run is green");
const { failed } = await compileAll(Object.keys(TARGETS), out, values.deno);
await writeChecksums(out);
if (failed.length > 0) fail(`no binary for ${failed.join(", ")}`);

function fail(sentence: string): never {
  console.error(sentence);
  Deno.exit(1);
}
