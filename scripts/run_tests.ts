/**
 * Runs all tests but the slow ones. `deno test` gives each module that it is told an isolate of its
 * own, which loads and compiles all that the module imports; so it is told few, and each imports
 * many test files. A failure names its test's own file, and a file runs alone by
 * `deno test --allow-all FILE`. Types are checked beside: those modules lie outside the project,
 * whose members have compiler options of their own, and a check takes one core half a minute.
 *
 * Usage: deno run --allow-all scripts/run_tests.ts [--no-check] [OPTION of deno test]...
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
/** As Deno finds them. */
const TEST = /(?:^|[./_])test\.(?:[cm]?[jt]s|[jt]sx)$/;
/** Begins first, since nothing takes as long. */
const LONGEST = /^tests\/golden_test\.ts$/;
/** They measure what is held in their isolate. */
const ALONE = /\/mutation_test\.ts$/;
const CROSSING = /^tests\//;
/** So many that the last ones are short, and so few that loading them is. */
const CROSSING_PARTS = 6, PACKAGE_PARTS = 4;

const NO_CHECK = "--no-check";

type Parts = ReadonlyMap<string, readonly string[]>;

/** Each test file in one part, long parts before short ones. */
export function partsOf(files: readonly string[]): Parts {
  const kinds = [LONGEST, CROSSING, ALONE, /^/];
  const kindOf = (file: string) => kinds.findIndex((kind) => kind.test(file));
  const [longest, crossing, alone, others] = kinds.map((_, kind) =>
    files.filter((file) => kindOf(file) === kind)
  );
  return new Map([
    ...dealt("longest", longest, longest.length),
    ...dealt("crossing", crossing, CROSSING_PARTS),
    ...dealt("alone", alone, alone.length),
    ...dealt("packages", others, PACKAGE_PARTS),
  ].filter(([, files]) => files.length > 0));
}

/** Files as cards are dealt, since those beside one another often take equally long. */
function dealt(name: string, files: readonly string[], count: number) {
  return Array.from(
    { length: count },
    (_, part) => [`${name}_${part + 1}`, files.filter((_, i) => i % count === part)] as const,
  );
}

/** Test files by their paths from the root. */
function testFiles(): readonly string[] {
  const inside = (folder: string, recursive: boolean) =>
    readdirSync(join(ROOT, folder), { recursive, encoding: "utf8" })
      .map((path) => `${folder}/${path.replaceAll("\\", "/")}`);
  const found = ["packages", "apps", "scripts"].flatMap((folder) => inside(folder, true));
  return [...found, ...inside("tests", false)].filter((path) => TEST.test(path)).toSorted();
}

/** Writes a module for each part. @returns their paths, in the parts' order. */
async function writeParts(parts: Parts, folder: string): Promise<readonly string[]> {
  return await Promise.all(Array.from(parts, async ([name, files]) => {
    const path = join(folder, `${name}.ts`);
    const imports = files.map((file) =>
      `import ${JSON.stringify(pathToFileURL(join(ROOT, file)))};`
    );
    await Deno.writeTextFile(path, imports.join("\n") + "\n");
    return path;
  }));
}

/** Starts Deno in the project. */
function deno(args: readonly string[], signal?: AbortSignal): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), { args: [...args], cwd: ROOT, signal }).spawn();
}

/** Where types do not hold, the tests end at once. @returns the exit code. */
async function runTests(options: readonly string[]): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "lopper-tests-" });
  try {
    const modules = await writeParts(partsOf(testFiles()), folder);
    const others = options.filter((option) => option !== NO_CHECK);
    const ending = new AbortController();
    const tests = deno(
      ["test", "--allow-all", "--parallel", NO_CHECK, ...others, ...modules],
      ending.signal,
    );
    const checked = options.includes(NO_CHECK)
      ? 0
      : (await deno(["task", "--quiet", "check:types"]).status).code;
    if (checked !== 0) ending.abort();
    const { code } = await tests.status;
    return checked || code;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) process.exitCode = await runTests(Deno.args);
