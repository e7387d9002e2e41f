import { VERSION } from "@lopper/core";
import { join } from "node:path";
import { done } from "./done.ts";
import { copyFile } from "./folders.ts";
import { ROOT } from "./root.ts";
import { LICENCES, stageProgram } from "./stage.ts";
import { bundledTypes } from "./types.ts";

/** Those after it have all that is used here: arrays of float16, `using`, SQLite. */
const OLDEST_NODE = 24;
export const NAME = "lopper";
const NATIVE = "onnxruntime-node";
const LIBRARY = join(ROOT, "packages/library/mod.ts");
const TEXTS = join(ROOT, "scripts/release/npm");

/**
 * Writes the package for npm into a folder: the command line and the library, bundled, so that it
 * depends on no other package and runs no script when it is installed. The native engine comes in a
 * package with a script that downloads, and is left to whoever wants it.
 */
export async function writeNpmPackage(folder: string): Promise<void> {
  const dist = join(folder, "dist");
  const { nativeVersion } = await stageProgram(dist, { kind: "npm", programs: { index: LIBRARY } });
  await Deno.writeTextFile(join(dist, "index.d.ts"), await bundledTypes(LIBRARY));
  for (const name of [LICENCES, "LICENSE"]) await Deno.rename(join(dist, name), join(folder, name));
  await copyFile(join(TEXTS, "lopper.js"), join(folder, "bin/lopper.js"));
  await Deno.chmod(join(folder, "bin/lopper.js"), 0o755);
  await copyFile(join(TEXTS, "README.md"), join(folder, "README.md"));
  const manifest = {
    name: NAME,
    version: VERSION,
    description: "Makes pre-trained language models smaller, without training, on this machine.",
    keywords: ["llm", "pruning", "compression", "onnx", "gguf", "safetensors", "transformers"],
    license: "Apache-2.0",
    type: "module",
    bin: { lopper: "bin/lopper.js" },
    exports: { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } },
    engines: { node: `>=${OLDEST_NODE}` },
    peerDependencies: { [NATIVE]: `^${nativeVersion}` },
    peerDependenciesMeta: { [NATIVE]: { optional: true } },
  };
  const text = JSON.stringify(manifest, null, 2) + "\n";
  await Deno.writeTextFile(join(folder, "package.json"), text);
}

/** Packs a package as npm does, and returns the path of the file. */
export async function packNpm(folder: string, out: string): Promise<string> {
  const args = ["pack", "--json", "--pack-destination", out];
  const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
  const [{ filename }] = JSON.parse(await done(npm, args, folder));
  return join(out, filename);
}
