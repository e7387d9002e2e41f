/**
 * Holds the layering of the workspace (CONTRIBUTING.md): a package imports only from packages before it, no relative
 * import leaves its package, the search runs no model, no files import one another in a circle (types count, too), only
 * apps/ touch `Deno.*`, files are opened in one place, and only two modules of apps/ print, which take out what a terminal
 * would obey.
 *
 * Usage: deno run --allow-read scripts/check_layers.ts [ROOT]
 */
import { join } from "node:path";
import { importCircles, targetOf } from "./import_circles.ts";
import { valueImports } from "./value_imports.ts";

/** Imports go down this list only, never up. */
const ORDER = [
  "core",
  "options",
  "formats",
  "files",
  "tokenizers",
  "models",
  "graphs",
  "backends",
  "algebra",
  "runtime",
  "importance",
  "search",
  "recovery",
  "evaluation",
  "exports",
  "run",
  "demo-model",
  "report",
  "cli",
];
const IMPORT = /\b(?:from|import)\s*\(?\s*"([^"]+)"/g;
/** The places where `Deno` may be named: apps and tests. */
const PLATFORM = /^apps\/|_test\.ts$|\/testing\//;
/** Whoever opens a file by itself waits for pipes and takes all memory for a device. */
const READS =
  /\bDeno\.(?:readTextFile|readFile|open(?:Sync)?\((?:.*\bread: true|(?!.*\b(?:write|append): true)))/;
/** `node:fs` has as many ways to do so; what opens no file may be used. */
const FILE_SYSTEM = /^node:fs(?:\/promises)?$/;
const OPENS_NONE = new Set(
  "existsSync lstat mkdir readdir realpath rename rm rmdir stat symlink truncate unlink".split(" "),
);
const READERS = /^packages\/files\/(append_file|file_sink|file_source)\.ts$/;
const TEST = /_test\.ts$|\/testing\//;

/** The places that print: those modules, and tests. */
const PRINTERS = /^apps\/cli\/terminal\/(terminal|progress_bar)\.ts$|_test\.ts$|\/testing\//;
const PRINTS =
  /\bconsole\.|\bDeno\.std(out|err)\.(?!isTerminal\b)|process\.std(out|err)\.(write|fd)|"cli-progress"/;

/** The engine that keeps telemetry unless it is told not to before it loads, and the only place that loads it. */
const NATIVE_ENGINE = { name: "onnxruntime-node", file: "packages/backends/node_engine.ts" };

/** The search decides and runs no model: of packages that can run one, it uses types, and functions that only reckon. */
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
  const violations: Violation[] = [];
  const folder = file.split("/").slice(0, 2).join("/");
  const own = file.split("/")[1];
  const rank = ORDER.indexOf(own);
  if (rank < 0) {
    return [{
      file,
      line: 1,
      problem: `package ${own} is not in the layer order of scripts/check_layers.ts`,
    }];
  }
  const lines = linesOf(source);
  if (own === RUNS_NO_MODEL && !TEST.test(file)) {
    for (const { specifier, name, line } of valueImports(lines.join("\n"))) {
      if (!RUNS_MODELS.test(specifier) || RECKONS.has(name)) continue;
      const problem = `${own} runs no model, and uses ${name} of ${specifier}; types it may import`;
      violations.push({ file, line, problem });
    }
  }
  if (!READERS.test(file) && !TEST.test(file)) {
    for (const { specifier, name, line } of valueImports(lines.join("\n"))) {
      if (!FILE_SYSTEM.test(specifier) || OPENS_NONE.has(name)) continue;
      violations.push({ file, line, problem: OPENS });
    }
  }
  lines.forEach((line, i) => {
    const report = (problem: string) => violations.push({ file, line: i + 1, problem });
    for (const [, specifier] of line.matchAll(IMPORT)) {
      if (specifier === NATIVE_ENGINE.name && file !== NATIVE_ENGINE.file) {
        report(
          `loads ${specifier}; only ${NATIVE_ENGINE.file} does, which says no to telemetry first`,
        );
      }
      const inside = targetOf(file, specifier);
      const target = /^@lopper\/([^/]+)/.exec(specifier)?.[1];
      if (target !== undefined) {
        const targetRank = ORDER.indexOf(target);
        if (targetRank < 0) report(`imports unknown package @lopper/${target}`);
        else if (targetRank > rank) report(`${own} imports ${target}, which comes after it`);
        else if (target === own && !file.endsWith("_test.ts")) {
          report(`imports its own package by name; use a relative path`);
        }
        if (specifier.endsWith("/testing") && !TEST.test(file)) {
          report(`imports ${specifier}, which is for tests`);
        }
      } else if (inside !== null) {
        const fixture = file.endsWith("_test.ts") && inside.startsWith("tests/");
        if (!inside.startsWith(folder + "/") && !fixture) {
          report(`relative import ${specifier} leaves the package`);
        }
      }
    }
    if (!PRINTERS.test(file) && PRINTS.test(line)) {
      report("prints; only apps/cli/terminal/terminal.ts does");
    }
    if (READS.test(line) && !TEST.test(file)) report(OPENS);
    if (PLATFORM.test(file)) return;
    if (/\bDeno\b/.test(line)) report("touches Deno.* outside apps/");
  });
  return violations;
}

/** The lines of a source without its comments. */
function linesOf(source: string): readonly string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "));
  return code.split("\n").map((line) => line.replace(/(^|\s)\/\/.*$/, ""));
}

/** Circles of files that import one another, one violation each, at the import that leads into it. */
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

async function* sources(root: string, folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(join(root, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(root, path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

if (import.meta.main) {
  const root = Deno.args[0] ?? ".";
  const files = new Map<string, string>();
  for (const folder of ["packages", "apps"]) {
    for await (const file of sources(root, folder)) {
      files.set(file, await Deno.readTextFile(join(root, file)));
    }
  }
  const violations = [
    ...Array.from(files, ([file, source]) => checkFile(file, source)).flat(),
    ...checkCircles(files),
  ];
  for (const { file, line, problem } of violations) console.error(`${file}:${line}: ${problem}`);
  console.log(`${files.size} files, ${violations.length} layer violations`);
  Deno.exit(violations.length === 0 && files.size > 0 ? 0 : 1);
}
