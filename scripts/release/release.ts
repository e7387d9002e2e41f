/**
 * Makes everything of a release from one version: the package for npm, a dry run of JSR, and a
 * binary for every system. Publishes nothing; docs and commands for that are in CONTRIBUTING.md.
 *
 * Usage: deno task release [--target NAME|all]... [--out FOLDER] [--deno FILE]
 *   --target  what binaries are for, by Deno's names; all by default
 *   --out     where it goes; dist by default
 *   --deno    the Deno that compiles; the one that runs this by default
 */
import { VERSION } from "@lopper/core";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { writeChecksums } from "./checksums.ts";
import { compileAll } from "./compile_all.ts";
import { done } from "./done.ts";
import { packNpm, writeNpmPackage } from "./npm_package.ts";
import { ROOT } from "./root.ts";
import { targetsOf } from "./targets.ts";
import { otherVersions } from "./versions.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    target: { type: "string", multiple: true, default: ["all"] },
    out: { type: "string", default: "dist" },
    deno: { type: "string", default: Deno.execPath() },
  },
});
const out = resolve(values.out);
const targets = targetsOf(values.target);
if (typeof targets === "string") fail(targets);
const changes = await done("git", ["status", "--porcelain"], ROOT);
if (changes !== "") fail(`these files are not as they were committed:\n${changes.trimEnd()}`);
const others = await otherVersions();
if (others.length > 0) fail(`these have another version than ${VERSION}: ${others.join(", ")}`);

await Deno.mkdir(out, { recursive: true });
if ([...Deno.readDirSync(out)].length > 0) fail(`${out} is not empty; --out names another folder`);
const folder = join(out, "npm");
await writeNpmPackage(folder);
console.log(await packNpm(folder, out));
await done(Deno.execPath(), ["task", "jsr"], ROOT);
console.log("JSR: the dry run is green");
const { failed } = await compileAll(targets, out, values.deno);
await writeChecksums(out);
if (failed.length > 0) fail(`no binary for ${failed.join(", ")}`);

function fail(sentence: string): never {
  console.error(sentence);
  Deno.exit(1);
}
