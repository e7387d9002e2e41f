import { fileURLToPath } from "node:url";
import { ROOT } from "./root.ts";
import { done } from "./done.ts";

/** A package of npm that modules import, as it lies in Deno's cache. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
}

/** What a program consists of, before it is bundled. */
export interface ModuleGraph {
  /** Paths of modules of this repository. */
  readonly modules: readonly string[];
  readonly packages: readonly NpmPackage[];
}

/** The part of `deno info --json` that is read here. */
interface Info {
  readonly modules: readonly {
    readonly kind: string;
    readonly specifier: string;
    readonly npmPackage?: string;
    readonly error?: string;
  }[];
  readonly npmPackages: Readonly<
    Record<string, {
      readonly name: string;
      readonly version: string;
      readonly localPath: string;
      readonly dependencies: readonly string[];
    }>
  >;
}

/**
 * Packages of which one built file is taken, so that what they are built from does not come along.
 */
const WHOLE = /^onnxruntime-(?:node|web)$/;
/** Describe, and do not run. */
const TYPES = /^@types\//;

/** Native code that makes another package faster: a bundle has none of it, and goes without. */
const FASTER = /^@msgpackr-extract\//;

/** The modules and packages that a module imports, be it later. */
export async function moduleGraph(entry: string): Promise<ModuleGraph> {
  const info: Info = JSON.parse(await done(Deno.execPath(), ["info", "--json", entry], ROOT));
  const failed = info.modules.find(({ error }) => error !== undefined);
  if (failed) throw new Error(`${entry}: ${failed.error}`);
  const modules = info.modules.map(({ specifier }) => specifier)
    .filter((specifier) => specifier.startsWith("file:")).map((url) => fileURLToPath(url));
  const imported = info.modules.flatMap(({ npmPackage }) => npmPackage ?? []);
  return { modules, packages: packagesOf(info, imported) };
}

function packagesOf(info: Info, imported: readonly string[]): readonly NpmPackage[] {
  const found = new Map<string, NpmPackage>();
  const add = (key: string) => {
    const { name, version, localPath, dependencies } = info.npmPackages[key];
    if (found.has(key) || TYPES.test(name) || FASTER.test(name)) return;
    found.set(key, { name, version, folder: localPath });
    const own = (dependency: string) => dependency.startsWith("onnxruntime-common@");
    for (const next of WHOLE.test(name) ? dependencies.filter(own) : dependencies) add(next);
  };
  for (const key of imported) add(key);
  return [...found.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}
