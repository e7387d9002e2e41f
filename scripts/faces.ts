/**
 * What a package gives others: every name of its mod.ts is used outside of it, or the page about
 * the library names it. `valueImports` reads what runs; here types count as well. And what a module
 * gives: a value that it exports is named somewhere else.
 */
import { targetOf } from "./import_circles.ts";

export interface DeadExport {
  readonly file: string;
  readonly line: number;
  readonly name: string;
}

/** The package that programs of others import as "lopper". */
const LIBRARY = "library";
const FACE = /^packages\/([^/]+)\/mod\.ts$/;
const NAMED = /^export\s+(?:type\s+)?\{([^}]*)\}(?:\s*from\s*"([^"]+)")?/gm;
const ALL = /^export\s+\*\s+from\s*"([^"]+)"/gm;
const DECLARED =
  /^export\s+(?:abstract\s+|async\s+)*(?:function\*?|class|const|let|interface|type|enum)\s+([\w$]+)/gm;
const VALUE = /^export\s+(?:abstract\s+|async\s+)*(?:function\*?|class|const|let)\s+([\w$]+)/gm;
/** A clause, what it is taken from, and nothing between that begins another statement. */
const IMPORTED =
  /\b(?:import|export)\s+(?:type\s+)?(\{[^}]*\}|\*\s+as\s+\w+|\*)\s*from\s*"([^"]+)"/g;
const AWAITED = /(?:const\s+(\{[^}]*\})\s*=\s*await\s+)?\bimport\(\s*"([^"]+)"\s*\)(?:\)\.(\w+))?/g;

/** Names of a clause `{ a, type B, c as d }`, by what they are called in the module. */
function namesIn(clause: string, side: "here" | "there"): readonly string[] {
  return clause.replace(/[{}]/g, "").split(",").map((part) => part.trim()).filter(Boolean)
    .map((part) => {
      const [there, here = there] = part.replace(/^type\s+/, "").split(/\s+as\s+|\s*:\s*/);
      return side === "here" ? here : there;
    });
}

const lineAt = (source: string, index: number) => source.slice(0, index).split("\n").length;

/** The names that a file exports, each with its line. */
export function exportsOf(
  file: string,
  sources: ReadonlyMap<string, string>,
): ReadonlyMap<string, number> {
  const source = sources.get(file) ?? "";
  const found = new Map<string, number>();
  for (const { 1: clause, index } of source.matchAll(NAMED)) {
    for (const name of namesIn(clause, "here")) found.set(name, lineAt(source, index));
  }
  for (const { 1: name, index } of source.matchAll(DECLARED)) {
    found.set(name, lineAt(source, index));
  }
  for (const { 1: specifier, index } of source.matchAll(ALL)) {
    const target = targetOf(file, specifier);
    if (target === null) continue;
    for (const name of exportsOf(target, sources).keys()) {
      if (!found.has(name)) found.set(name, lineAt(source, index));
    }
  }
  return found;
}

/** What a source names of a module that it calls so. */
function membersOf(source: string, alias: string): readonly string[] {
  return Array.from(source.matchAll(new RegExp(`\\b${alias}\\.(\\w+)`, "g")), ([, name]) => name);
}

/** The names that a file takes from the face of a package; "*" for all of them. */
function takenFrom(file: string, source: string): readonly (readonly [string, string])[] {
  const packageOf = (specifier: string) =>
    specifier === "lopper" ? LIBRARY : /^@lopper\/([^/]+)$/.exec(specifier)?.[1] ??
      FACE.exec(targetOf(file, specifier) ?? "")?.[1];
  const taken: (readonly [string, string])[] = [];
  const take = (specifier: string, names: readonly string[]) => {
    const name = packageOf(specifier);
    if (name !== undefined) taken.push(...names.map((one) => [name, one] as const));
  };
  for (const [, clause, specifier] of source.matchAll(IMPORTED)) {
    const alias = /^\*\s+as\s+(\w+)$/.exec(clause)?.[1];
    if (clause.startsWith("{")) take(specifier, namesIn(clause, "there"));
    else take(specifier, alias === undefined ? ["*"] : membersOf(source, alias));
  }
  for (const [, clause, specifier, member] of source.matchAll(AWAITED)) {
    take(specifier, clause ? namesIn(clause, "there") : [member ?? "*"]);
  }
  return taken;
}

/**
 * Names of faces that nobody else uses.
 * @param sources all sources by their paths from the root, those of tests and pages among them.
 * @param library the page about the library: what it says in code is meant for programs that are
 *   not here.
 */
export function deadExports(
  sources: ReadonlyMap<string, string>,
  library: string,
): readonly DeadExport[] {
  const used = new Map<string, Set<string>>();
  for (const [file, source] of sources) {
    const own = /^packages\/([^/]+)\//.exec(file)?.[1];
    for (const [name, taken] of takenFrom(file, source)) {
      if (name === own) continue;
      used.set(name, (used.get(name) ?? new Set()).add(taken));
    }
  }
  const told = new Set(Array.from(library.matchAll(/`(\w+)/g), ([, name]) => name));
  return [...sources.keys()].flatMap((file) => {
    const name = FACE.exec(file)?.[1];
    if (name === undefined) return [];
    const taken = used.get(name) ?? new Set();
    if (taken.has("*")) return [];
    return Array.from(exportsOf(file, sources), ([name, line]) => ({ file, line, name }))
      .filter(({ name }) => !taken.has(name) && !told.has(name));
  });
}

/** Values that a module exports and no other file names; a type may be what one of them returns. */
export function needlessExports(sources: ReadonlyMap<string, string>): readonly DeadExport[] {
  const namedIn = new Map<string, Set<string>>();
  for (const [file, source] of sources) {
    for (const [word] of source.matchAll(/[\w$]+/g)) {
      namedIn.set(word, (namedIn.get(word) ?? new Set()).add(file));
    }
  }
  return Array.from(sources).flatMap(([file, source]) =>
    Array.from(source.matchAll(VALUE), ({ 1: name, index }) => ({
      file,
      line: lineAt(source, index),
      name,
    })).filter(({ name }) => namedIn.get(name)!.size === 1)
  );
}
