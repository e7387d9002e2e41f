import { basename, join } from "node:path";
import type { CarriedEngine } from "../../apps/cli/build.ts";
import { copyFile, filesIn } from "./folders.ts";
import type { NpmPackage } from "./module_graph.ts";

/** A system that a release is for, as Node calls it. */
export interface System {
  readonly platform: "linux" | "darwin" | "win32";
  readonly arch: "x64" | "arm64";
}

/** How the engine for WebAssembly names the files that it loads from beside itself. */
const WASM_FILE = /\bort-wasm-[\w.-]+\.(?:mjs|wasm)\b/g;

/** Puts what the bundled engine for WebAssembly loads beside the bundle. */
export async function stageWasmFiles(packages: readonly NpmPackage[], stage: string) {
  const scripts = (await filesIn(stage)).filter((file) => file.endsWith(".js"));
  await copyWasmFiles(packageOf(packages, "onnxruntime-web"), scripts, stage);
}

/** Puts onnxruntime-web into the stage as a package, of what Deno and Node load of it. */
export async function stageWasmPackage(packages: readonly NpmPackage[], stage: string) {
  const web = packageOf(packages, "onnxruntime-web");
  const manifest = join(web.folder, "package.json");
  const main: string = JSON.parse(await Deno.readTextFile(manifest)).exports["."].node.import;
  const to = join(stage, "node_modules", web.name);
  await copyFile(manifest, join(to, "package.json"));
  await copyFile(join(web.folder, main), join(to, main));
  await copyWasmFiles(web, [join(web.folder, main)], join(to, "dist"));
}

/** Copies what these scripts load, and what is loaded by that. */
async function copyWasmFiles(web: NpmPackage, scripts: readonly string[], to: string) {
  const found = new Set<string>();
  const follow = async (path: string) => {
    for (const [name] of (await Deno.readTextFile(path)).matchAll(WASM_FILE)) {
      if (found.has(name)) continue;
      found.add(name);
      const from = join(web.folder, "dist", name);
      await copyFile(from, join(to, name));
      if (name.endsWith(".mjs")) await follow(from);
    }
  };
  for (const script of scripts) await follow(script);
  if (found.size === 0) throw new Error(`${web.name} loads nothing that is known of`);
}

/**
 * Puts onnxruntime-node into the stage as a package with the native files of one system, and
 * nothing of others. Null where it has none for that system.
 */
export async function stageNative(
  packages: readonly NpmPackage[],
  { platform, arch }: System,
  stage: string,
): Promise<CarriedEngine | null> {
  const node = packageOf(packages, "onnxruntime-node");
  const common = packageOf(packages, "onnxruntime-common");
  await copyPackage(node, stage, "dist", /\.js$/);
  await copyPackage(common, stage, "dist", /\.js$|package\.json$/);
  const inside = `bin/napi-v6/${platform}/${arch}`;
  const from = join(node.folder, inside);
  if (!await Deno.stat(from).catch(() => null)) return null;
  const folder = `node_modules/${node.name}/${inside}/`;
  const files = [];
  let all = "";
  for (const [digest, path] of await distinctFiles(from)) {
    const name = basename(path);
    await copyFile(path, join(stage, folder, name));
    files.push({ name, bytes: (await Deno.stat(path)).size });
    all += `${name} ${digest}\n`;
  }
  const version = (await sha256(new TextEncoder().encode(all))).slice(0, 12);
  const name = `${node.name}-${node.version}-${platform}-${arch}-${version}`;
  return { name, folder: `./${folder}`, files };
}

function packageOf(packages: readonly NpmPackage[], name: string): NpmPackage {
  const found = packages.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no module imports ${name}`);
  return found;
}

/** One path for each content: a library lies there by its short and its long name. */
async function distinctFiles(folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const path of await filesIn(folder)) {
    const digest = await sha256(await Deno.readFile(path));
    const other = found.get(digest);
    // Others name a library by its short one.
    if (other === undefined || path.length < other.length) found.set(digest, path);
  }
  return found;
}

async function copyPackage(from: NpmPackage, stage: string, inside: string, wanted: RegExp) {
  const to = join(stage, "node_modules", from.name);
  await copyFile(join(from.folder, "package.json"), join(to, "package.json"));
  for (const path of await filesIn(join(from.folder, inside))) {
    if (wanted.test(path)) await copyFile(path, join(to, path.slice(from.folder.length)));
  }
}

/** In hexadecimal digits. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
