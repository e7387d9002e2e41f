import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import ts from "typescript";
import { ROOT } from "./root.ts";

/** Packages whose types stand in those of the library; others are in none of its functions. */
const TYPED = ["zod"];

/** Declarations of a module with all that they need, in one text without imports. */
export async function bundledTypes(module: string): Promise<string> {
  const bundle = await rollup({
    input: module,
    external: [/^node:/],
    // A package that is not found is no fault where nothing of it stays.
    onwarn: () => {},
    plugins: [dts({
      respectExternal: true,
      compilerOptions: {
        ...COMPILER,
        baseUrl: ROOT,
        paths: { ...await pathsOfWorkspace(), ...pathsOfPackages() },
      },
    })],
  });
  const { output: [{ code }] } = await bundle.generate({ format: "es" });
  await bundle.close();
  const left = /^(?:import|export)\b.* from .*$/m.exec(code)?.[0];
  if (left !== undefined) throw new Error(`the types of ${module} need ${left}`);
  return code;
}

const COMPILER = {
  allowImportingTsExtensions: true,
  ignoreDeprecations: "6.0",
  lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  skipLibCheck: true,
  strict: true,
  target: ts.ScriptTarget.ESNext,
  types: [],
};

type Paths = Record<string, string[]>;

/** Modules of the workspace by the names that they are imported by. */
async function pathsOfWorkspace(): Promise<Paths> {
  const paths: Paths = {};
  for await (const { name } of Deno.readDir(join(ROOT, "packages"))) {
    const folder = join(ROOT, "packages", name);
    const { name: called, exports } = JSON.parse(
      await Deno.readTextFile(join(folder, "deno.json")),
    );
    const entries: Record<string, string> = typeof exports === "string"
      ? { ".": exports }
      : exports;
    for (const [at, module] of Object.entries(entries)) {
      paths[called + at.slice(1)] = [join(folder, module)];
    }
  }
  return paths;
}

function pathsOfPackages(): Paths {
  return Object.fromEntries(TYPED.map((name) => {
    const module = fileURLToPath(import.meta.resolve(name));
    return [name, [module.replace(/\.js$/, ".d.ts")]];
  }));
}
