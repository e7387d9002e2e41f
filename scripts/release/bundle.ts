import { basename, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { copyFolder, filesIn } from "./folders.ts";
import { done } from "./done.ts";
import { moduleGraph, type NpmPackage } from "./module_graph.ts";
import { referencesOf } from "./module_references.ts";
import { ROOT } from "./root.ts";

export interface BundleOptions {
  readonly platform: "deno" | "browser";
  /** Packages that stay imports. */
  readonly external: readonly string[];
  /** Names stay as they are written, at the cost of size. */
  readonly isReadable?: boolean;
}

/** What a program consists of, beside the modules that it imports. */
export interface Parts {
  /** Modules that are started by themselves: their paths by their names. */
  readonly threads: ReadonlyMap<string, string>;
  /** Files and folders that are read, by their place in a bundle. */
  readonly files: ReadonlyMap<string, string>;
  /** Of npm, imported from anywhere in it. */
  readonly packages: readonly NpmPackage[];
}

/**
 * Bundles programs into a folder, in pieces that are loaded when they are needed, with the threads
 * that they start and the files that they read beside them, however deep in the sources these are.
 * @param programs sources by the name of what they become, "main" for main.js; they import modules
 *   by absolute URLs.
 * @param parts of these modules.
 */
export async function bundle(
  programs: ReadonlyMap<string, string>,
  { threads, files }: Parts,
  folder: string,
  options: BundleOptions,
): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "lopper-bundle-" });
  try {
    const sources = new Map(programs);
    for (const [name, path] of threads) {
      if (sources.has(name)) throw new Error(`${path}: another program is called ${name} already`);
      sources.set(name, `export * from "${pathToFileURL(path)}";\n`);
    }
    for (const [name, source] of sources) {
      await Deno.writeTextFile(join(work, `${name}.ts`), source);
    }
    const paths = Array.from(sources.keys(), (name) => join(work, `${name}.ts`));
    await runBundler(paths, folder, options);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  for (const [at, from] of files) await copyFolder(from, join(folder, at));
  await checkWhole(folder);
}

async function runBundler(
  paths: readonly string[],
  folder: string,
  { platform, external, isReadable }: BundleOptions,
) {
  const size = isReadable ? [] : ["--minify"];
  const how = ["--quiet", "--platform", platform, "--code-splitting", ...size];
  const outside = external.flatMap((name) => ["--external", name]);
  const config = ["--config", join(ROOT, "deno.json")];
  const args = ["bundle", ...how, ...config, ...outside, "--outdir", folder, ...paths];
  await done(Deno.execPath(), args, ROOT);
}

/**
 * Follows what modules import, and what they name by its place, until nothing new is found.
 * @param imports their paths.
 */
export async function partsOf(imports: readonly string[]): Promise<Parts> {
  const threads = new Map<string, string>();
  const files = new Map<string, string>();
  const packages = new Map<string, NpmPackage>();
  const seen = new Set<string>();
  const programs = [...imports];
  for (const program of programs) {
    const graph = await moduleGraph(program);
    for (const found of graph.packages) packages.set(`${found.name}@${found.version}`, found);
    for (const module of graph.modules) {
      if (seen.has(module)) continue;
      seen.add(module);
      const { modules, files: named } = referencesOf(module, await Deno.readTextFile(module));
      for (const path of modules) {
        const name = basename(path, ".ts");
        // The program that starts itself is there already.
        if (name === "main" || threads.get(name) === path) continue;
        if (threads.has(name)) throw new Error(`${path}: ${threads.get(name)} has the same name`);
        threads.set(name, path);
        programs.push(path);
      }
      for (const file of named) setOnce(files, file, join(module, "..", file));
    }
  }
  return { threads, files, packages: [...packages.values()] };
}

function setOnce(files: Map<string, string>, at: string, from: string) {
  const before = files.get(at);
  if (before !== undefined && before !== from) {
    throw new Error(`${from}: in a bundle ${before} has its place, ${at}`);
  }
  files.set(at, from);
}

/** @throws when a module of a bundle names something that is not beside it. */
export async function checkWhole(folder: string): Promise<void> {
  for (const file of await filesIn(folder)) {
    if (!file.endsWith(".js")) continue;
    for (const word of wordsOf(await Deno.readTextFile(file))) {
      const found = await Deno.stat(join(folder, word)).catch(() => null);
      if (found) continue;
      throw new Error(`${relative(folder, file)} needs ${word}, which is not in ${folder}`);
    }
  }
}

/** What a bundled module names by its own place. */
function wordsOf(text: string): readonly string[] {
  return text.split(",import.meta.url)").slice(0, -1).flatMap((before) => {
    const named = before.slice(before.lastIndexOf("new URL("));
    const words = Array.from(named.matchAll(/["'`](\.[^"'`]*)["'`]/g), ([, word]) => word);
    // That is what it is called where nothing is bundled.
    return words.filter((word) => !word.endsWith(".ts"));
  });
}
