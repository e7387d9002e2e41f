import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Build, BundledPackage } from "../../apps/cli/build.ts";
import { bundle, partsOf } from "./bundle.ts";
import { done } from "./done.ts";
import { stageNative, stageWasmFiles, stageWasmPackage, type System } from "./engine_files.ts";
import { describePackage, licenceTexts } from "./licences.ts";
import { ROOT } from "./root.ts";

export interface StageOptions {
  readonly kind: Build["kind"];
  /** What a binary is for, by Deno's name. */
  readonly target?: string;
  /** Whose native engine comes along. */
  readonly system?: System;
  /** Programs beside the command line: the modules that they are, by their names. */
  readonly programs?: Readonly<Record<string, string>>;
}

export interface Stage {
  readonly build: Build;
  /** Names of modules that are started by themselves. */
  readonly threads: readonly string[];
  /** Of onnxruntime-node, be it in the stage or not. */
  readonly nativeVersion: string;
}

export const LICENCES = "licences.txt";
const NATIVE = "onnxruntime-node";
const WEB = "onnxruntime-web";
const MODULES = {
  build: join(ROOT, "apps/cli/build.ts"),
  run: join(ROOT, "apps/cli/run_process.ts"),
};

/**
 * Puts the command line into a folder with everything that it needs at run time: the program and
 * its threads, bundled, the embedded model, the engines, and the licences of what is in it.
 */
export async function stageProgram(folder: string, options: StageOptions): Promise<Stage> {
  const { kind, target = null, system, programs = {} } = options;
  await Deno.mkdir(folder, { recursive: true });
  const parts = await partsOf([...Object.values(MODULES), ...Object.values(programs)]);
  const engine = system ? await stageNative(parts.packages, system, folder) : null;
  // What a user may add to a package for npm is not in it.
  const inIt = parts.packages.filter(({ name }) => kind === "binary" || name !== NATIVE);
  const packages = await Promise.all(inIt.map(describePackage));
  const build: Build = { kind, target, commit: await commitOfSources(), packages, engine };
  const sources = Object.entries(programs).map(([name, path]): [string, string] => [
    name,
    `export * from "${pathToFileURL(path)}";\n`,
  ]);
  // Deno takes a .wasm file of a program for a module, but not one of a package.
  const external = kind === "binary" ? [NATIVE, WEB] : [NATIVE];
  const programsOf = new Map([["main", mainOf(build)], ...sources]);
  // What a library throws is known by its name, and its code read in a debugger.
  const isReadable = kind === "npm";
  await bundle(programsOf, parts, folder, { platform: "deno", external, isReadable });
  await (kind === "binary" ? stageWasmPackage : stageWasmFiles)(parts.packages, folder);
  if (kind === "binary") await describeStage(folder, packages);
  await Deno.writeTextFile(join(folder, LICENCES), await licenceTexts(inIt));
  await Deno.copyFile(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  const native = parts.packages.find(({ name }) => name === NATIVE)!;
  return { build, threads: [...parts.threads.keys()], nativeVersion: native.version };
}

/** What the bundle imports lies in the stage, and nothing else is looked for anywhere. */
async function describeStage(folder: string, packages: readonly BundledPackage[]) {
  const staged = new Set(
    Array.from(Deno.readDirSync(`${folder}/node_modules`), ({ name }) => name),
  );
  const dependencies = Object.fromEntries(
    packages.filter(({ name }) => staged.has(name)).map(({ name, version }) => [name, version]),
  );
  const write = (file: string, value: unknown) =>
    Deno.writeTextFile(join(folder, file), JSON.stringify(value));
  await write("package.json", { type: "module", dependencies });
  await write("deno.json", { nodeModulesDir: "manual" });
}

/** The program of a release: it says what it is, and then does what the one of a checkout does. */
function mainOf(build: Build): string {
  return `import { startAs } from "${pathToFileURL(MODULES.build)}";
import { runProcess } from "${pathToFileURL(MODULES.run)}";

const build = ${JSON.stringify(build)};
if (build.engine) build.engine.folder = new URL(build.engine.folder, import.meta.url).href;
startAs(build);
await runProcess();
`;
}

/** Of the sources, and whether they are as they were committed. */
async function commitOfSources(): Promise<string> {
  const commit = await done("git", ["rev-parse", "--short=12", "HEAD"], ROOT);
  const changes = await done("git", ["status", "--porcelain"], ROOT);
  return commit.trim() + (changes === "" ? "" : ", changed");
}
