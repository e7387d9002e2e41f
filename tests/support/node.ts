import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = new URL("../../packages/", import.meta.url);
const WORKER = new URL("tokenizers/worker.ts", PACKAGES);
const DEMO_DATA = new URL("demo-model/data", PACKAGES);
/**
 * The first that has all that is used here: arrays of float16, `using`, SQLite without a warning.
 */
const OLDEST = 24;

/** The words that start a Node, or null with a line that says what is skipped for want of it. */
export async function nodeCommand(what: string): Promise<readonly string[] | null> {
  const named = Deno.env.get("LOPPER_NODE");
  const places = named ? [[named]] : [["node"], ["npx", "-y", `node@${OLDEST}`]];
  for (const words of places) {
    const version = await output([...words, "--version"]).catch(() => "");
    if (Number(/^v(\d+)\./.exec(version)?.[1]) >= OLDEST) return words;
  }
  console.log(`skipped: ${what} needs Node ${OLDEST} or later (LOPPER_NODE names it)`);
  return null;
}

/**
 * Bundles a program for Node, with what it needs to run, in a folder; returns the path of the
 * bundle.
 */
export async function bundleForNode(program: URL, folder: string): Promise<string> {
  const engines = ["onnxruntime-node", "onnxruntime-web"];
  const external = engines.flatMap((name) => ["--external", name]);
  const path = join(folder, basename(fileURLToPath(program)).replace(/ts$/, "js"));
  for (const source of [program, WORKER]) {
    // In pieces, since only one of the engines is loaded.
    const how = ["--quiet", "--platform", "deno", "--code-splitting", ...external];
    const args = ["bundle", ...how, "--outdir", folder, fileURLToPath(source)];
    await output([Deno.execPath(), ...args]);
  }
  await Deno.writeTextFile(join(folder, "package.json"), '{ "type": "module" }');
  await Deno.symlink(fileURLToPath(DEMO_DATA), join(folder, "data"));
  const native = import.meta.resolve("onnxruntime-node");
  const installed = [native, createRequire(native).resolve("onnxruntime-common")];
  await Deno.mkdir(join(folder, "node_modules"));
  for (const name of ["onnxruntime-node", "onnxruntime-common"]) {
    const found = installed.map((file) => packageFolder(file, name)).find((at) => at !== null);
    await Deno.symlink(found!, join(folder, "node_modules", name));
  }
  return path;
}

/** Of a file of an installed package. */
function packageFolder(file: string, name: string): string | null {
  const path = file.startsWith("file:") ? fileURLToPath(file) : file;
  for (let at = path; dirname(at) !== at; at = dirname(at)) {
    if (basename(dirname(at)) === name || basename(at) === name) return at;
  }
  return null;
}

/** What a command prints. @throws with its errors when it fails. */
export async function output([command, ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  assert.ok(success, `${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
