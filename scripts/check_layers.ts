/**
 * Holds the layering of the workspace (CONTRIBUTING.md): a package imports only from packages
 * before it, no relative import leaves its package, the search runs no model, no files import one
 * another in a circle (types count, too), only two modules touch `Deno.*`, files are opened in one
 * place, one module knows how the program is started, commands share a folder and know nothing of
 * one another, faces name what they give, few files know what blocks there are, and only two
 * modules of apps/ print, which take out what a terminal would obey.
 *
 * Usage: deno run --allow-read scripts/check_layers.ts [ROOT]
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { deadExports, needlessExports } from "./faces.ts";
import { importCircles, targetOf } from "./import_circles.ts";
import { valueImports } from "./value_imports.ts";

/** Imports go down this list only, never up; CONTRIBUTING.md has the packages in the same order. */
export const ORDER: readonly string[] = [
  "core",
  "threads",
  "options",
  "formats",
  "files",
  "tokenizers",
  "graphs",
  "models",
  "backends",
  "algebra",
  "runtime",
  "importance",
  "search",
  "recovery",
  "workers",
  "evaluation",
  "card",
  "exports",
  "run",
  "calibration-texts",
  "demo-model",
  "report",
  "browser",
  "library",
  "cli",
  "web",
];
const IMPORT = /\b(?:from|import)\s*\(?\s*"([^"]+)"/g;
/** The places where `Deno` may be named, since Node has no equal of what they do, and tests. */
const PLATFORM = /^apps\/cli\/(permissions|compare\/own_process)\.ts$|_test\.ts$|\/testing\//;
/**
 * Whoever opens a file by itself waits for pipes and takes all memory for a device; what opens none
 * may be used.
 */
const FILE_SYSTEM = /^node:fs(?:\/promises)?$/;
const OPENS_NONE = new Set(
  "existsSync link lstat mkdir readdir realpath rename rm rmdir stat symlink truncate unlink".split(
    " ",
  ),
);
const READERS =
  /^packages\/files\/(append_file|file_sink|file_source|partial_file|scratch_file)\.ts$/;
const TEST = /_test\.ts$|\/testing\//;

/**
 * What only a form of a file, a family, the graphs of a kind and its words know: everything else
 * asks a block for its axes.
 */
const KNOWN_TO_FEW = [/\bintermediateSize\b/, /[^=]"mlp"/];
const MAX_KNOWING = 9;

/** What a package gives to others. */
const FACE = /^packages\/[^/]+\/(?:testing\/)?mod\.ts$/;

/** The places that print: those modules, and tests. */
const PRINTERS =
  /^apps\/cli\/shared\/terminal\/(terminal|progress_bar)\.ts$|_test\.ts$|\/testing\//;
const PRINTS = /\bconsole\.|process\.std(out|err)\.(write|fd)|\bstdout\.write|"cli-progress"/;

/** Who knows how a user starts the program: a checkout by its tasks, a release by its name. */
const NAMED_IN = "apps/cli/called_as.ts";

/** The folder of `apps/cli` for what its commands share; each other one is a command. */
const SHARED = "shared";

/**
 * The engine that keeps telemetry unless it is told not to before it loads, and the only place that
 * loads it.
 */
const NATIVE_ENGINE = { name: "onnxruntime-node", file: "packages/backends/node_engine.ts" };

/**
 * The search decides and runs no model: of packages that can run one, it uses types, and functions
 * that only reckon.
 */
const RUNS_NO_MODEL = "search";
const RUNS_MODELS = /^@lopper\/(?:graphs|backends|algebra|runtime|importance)$/;
const RECKONS = new Set(["RANKING_NAMES", "perplexity", "shuffled", "tokenCount"]);

const OPENS = "opens a file by itself; openInput and readInput of packages/files do";

export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly problem: string;
}

/** Violations in one source file; `file` is its path from the root, with slashes. */
export function checkFile(file: string, source: string): readonly Violation[] {
  const own = file.split("/")[1];
  if (!ORDER.includes(own)) {
    const problem = `package ${own} is not in the layer order of scripts/check_layers.ts`;
    return [{ file, line: 1, problem }];
  }
  const lines = linesOf(source);
  const inLines = lines.flatMap((line, i) =>
    [...importFaults(file, line), ...wordFaults(file, line)]
      .map((problem) => ({ file, line: i + 1, problem }))
  );
  return [...useFaults(file, lines), ...inLines];
}

/** What a file uses that it may only name as a type, or not at all. */
function useFaults(file: string, lines: readonly string[]): readonly Violation[] {
  if (TEST.test(file)) return [];
  const own = file.split("/")[1];
  return valueImports(lines.join("\n")).flatMap(({ specifier, name, line }) => {
    const problems: string[] = [];
    if (own === RUNS_NO_MODEL && RUNS_MODELS.test(specifier) && !RECKONS.has(name)) {
      problems.push(`${own} runs no model, and uses ${name} of ${specifier}; types it may import`);
    }
    if (!READERS.test(file) && FILE_SYSTEM.test(specifier) && !OPENS_NONE.has(name)) {
      problems.push(OPENS);
    }
    return problems.map((problem) => ({ file, line, problem }));
  });
}

/** What is wrong with the imports in a line. */
function importFaults(file: string, line: string): readonly string[] {
  return Array.from(line.matchAll(IMPORT), ([, specifier]) => specifier).flatMap((specifier) => {
    if (specifier === NATIVE_ENGINE.name && file !== NATIVE_ENGINE.file) {
      return `loads ${specifier}; only ${NATIVE_ENGINE.file} does, which says no to telemetry first`;
    }
    const target = /^@lopper\/([^/]+)/.exec(specifier)?.[1];
    if (target !== undefined) return packageFaults(file, specifier, target);
    const inside = targetOf(file, specifier);
    if (inside !== null && isOfOther(file, inside)) {
      return "commands do not import one another, nor does what they share; apps/cli/shared has that";
    }
    const folder = file.split("/").slice(0, 2).join("/");
    if (inside === null || inside.startsWith(folder + "/")) return [];
    const isFixture = file.endsWith("_test.ts") && inside.startsWith("tests/");
    return isFixture ? [] : `relative import ${specifier} leaves the package`;
  });
}

/** Whether a file of a command, or of what commands share, imports one of another command. */
function isOfOther(file: string, target: string): boolean {
  const [own, other] = [file, target].map((path) => /^apps\/cli\/([^/]+)\//.exec(path)?.[1]);
  return own !== undefined && other !== undefined && other !== own && other !== SHARED;
}

/** What is wrong with the import of a package of the workspace. */
function packageFaults(file: string, specifier: string, target: string): readonly string[] {
  const own = file.split("/")[1];
  const [rank, targetRank] = [ORDER.indexOf(own), ORDER.indexOf(target)];
  const faults: string[] = [];
  if (targetRank < 0) faults.push(`imports unknown package @lopper/${target}`);
  else if (targetRank > rank) faults.push(`${own} imports ${target}, which comes after it`);
  else if (target === own && !file.endsWith("_test.ts")) {
    faults.push("imports its own package by name; use a relative path");
  }
  if (specifier.endsWith("/testing") && !TEST.test(file)) {
    faults.push(`imports ${specifier}, which is for tests`);
  }
  return faults;
}

/** What a line names that only other places may. */
function wordFaults(file: string, line: string): readonly string[] {
  const faults: string[] = [];
  if (FACE.test(file) && /^export \*/.test(line)) faults.push("a face names what it gives");
  if (!PRINTERS.test(file) && PRINTS.test(line)) {
    faults.push("prints; only apps/cli/shared/terminal/terminal.ts does");
  }
  if (file !== NAMED_IN && !TEST.test(file) && /\bdeno task\b/.test(line)) {
    faults.push(`names a task, which a release does not have; commandLine of ${NAMED_IN} does`);
  }
  if (!PLATFORM.test(file) && /\bDeno\b/.test(line)) {
    faults.push("touches Deno.*, which Node does not have");
  }
  return faults;
}

/** The lines of a source without its comments. */
function linesOf(source: string): readonly string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "));
  return code.split("\n").map((line) => line.replace(/(^|\s)\/\/.*$/, ""));
}

/**
 * Circles of files that import one another, one violation each, at the import that leads into it.
 */
export function checkCircles(sources: ReadonlyMap<string, string>): readonly Violation[] {
  const imports = new Map(Array.from(sources, ([file, source]) => {
    const found = linesOf(source).flatMap((text, i) =>
      Array.from(text.matchAll(IMPORT), ([, specifier]) => ({
        line: i + 1,
        target: targetOf(file, specifier),
      }))
    );
    return [file, found] as const;
  }));
  const graph = new Map(
    Array.from(imports, ([file, found]) =>
      [
        file,
        found.flatMap(({ target }) => target ?? []),
      ] as const),
  );
  return importCircles(graph).map((circle) => {
    const [file] = circle;
    const { line } = imports.get(file)!.find(({ target }) => circle.includes(target ?? ""))!;
    const others = circle.length === 1 ? "itself" : circle.slice(1).join(", ");
    return { file, line, problem: `imports in a circle with ${others}` };
  });
}

/** Words that more files have than may know of them, at the last of those files. */
export function checkKnowledge(sources: ReadonlyMap<string, string>): readonly Violation[] {
  return KNOWN_TO_FEW.flatMap((word) => {
    const found = Array.from(sources).filter(([file]) => !TEST.test(file)).flatMap(
      ([file, source]) => {
        const at = linesOf(source).findIndex((line) => word.test(line));
        return at < 0 ? [] : [{ file, line: at + 1 }];
      },
    );
    if (found.length <= MAX_KNOWING) return [];
    const files = found.map(({ file }) => file).join(", ");
    const problem = `${found.length} files have ${word}, at most ${MAX_KNOWING} may: ${files}`;
    return [{ ...found.at(-1)!, problem }];
  });
}

/**
 * The sources in some folders by their paths from the root; a folder that is not there has none.
 */
async function read(root: string, folders: readonly string[]): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of folders) {
    if (!existsSync(join(root, folder))) continue;
    for await (const file of sources(root, folder)) {
      files.set(file, await Deno.readTextFile(join(root, file)));
    }
  }
  return files;
}

async function* sources(root: string, folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(join(root, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(root, path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

if (import.meta.main) {
  const root = Deno.args[0] ?? ".";
  const files = await read(root, ["packages", "apps"]);
  const around = await read(root, ["tests", "benchmarks", "scripts", "docs"]);
  const library = await Deno.readTextFile(join(root, "docs/library.md")).catch(() => "");
  const all = new Map([...files, ...around]);
  const dead = deadExports(all, library);
  const violations = [
    ...Array.from(files, ([file, source]) => checkFile(file, source)).flat(),
    ...checkCircles(files),
    ...checkKnowledge(files),
    ...dead.map(({ file, line, name }) => ({
      file,
      line,
      problem: `exports ${name}, which no other package uses, nor does docs/library.md name it`,
    })),
    ...needlessExports(all).map(({ file, line, name }) => ({
      file,
      line,
      problem: `exports ${name}, which no other file names`,
    })),
  ];
  for (const { file, line, problem } of violations) console.error(`${file}:${line}: ${problem}`);
  console.log(`${files.size} files, ${violations.length} layer violations`);
  Deno.exit(violations.length === 0 && files.size > 0 ? 0 : 1);
}
