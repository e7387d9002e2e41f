import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle, partsOf } from "../../scripts/release/bundle.ts";
import { stageNative } from "../../scripts/release/engine_files.ts";
import { TARGETS } from "../../scripts/release/targets.ts";

/**
 * The first that has all that is used here: arrays of float16, `using`, SQLite without a warning.
 */
const OLDEST = 24;
const NATIVE = "onnxruntime-node";

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
  const path = fileURLToPath(program);
  const name = basename(path, ".ts");
  const parts = await partsOf([path]);
  const source = new Map([[name, `import "${program}";\n`]]);
  const how = { platform: "deno", external: [NATIVE], isReadable: true } as const;
  await bundle(source, parts, folder, how);
  // Not every program runs models.
  if (parts.packages.some((found) => found.name === NATIVE)) {
    await stageNative(parts.packages, TARGETS[Deno.build.target], folder);
  }
  await Deno.writeTextFile(join(folder, "package.json"), '{ "type": "module" }');
  return join(folder, `${name}.js`);
}

/** What a command prints. @throws with its errors when it fails. */
export async function output([command, ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  assert.ok(success, `${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
