/** What a file takes from another to use it, and not only as a type. */
export interface ValueImport {
  readonly specifier: string;
  /** A name of its face, or `*` for all of it. */
  readonly name: string;
  readonly line: number;
}

const STATEMENT = /^(?:import|export)\s+(?!type\b)([^;"()]*?)\s*from\s*"([^"]+)"/gm;
const WHOLE = /\bimport\s*\(?\s*"([^"]+)"/g;

/** The imports of a source without comments that are there when it runs. */
export function valueImports(source: string): readonly ValueImport[] {
  const at = (index: number) => source.slice(0, index).split("\n").length;
  const named = [...source.matchAll(STATEMENT)].flatMap(({ 1: clause, 2: specifier, index }) =>
    namesOf(clause).map((name) => ({ specifier, name, line: at(index) }))
  );
  const whole = [...source.matchAll(WHOLE)].map(({ 1: specifier, index }) => ({
    specifier,
    name: "*",
    line: at(index),
  }));
  return [...named, ...whole];
}

/** The names in `{ a, type B, c as d }`; all else is the whole module. */
function namesOf(clause: string): readonly string[] {
  const braces = /^\{([^}]*)\}$/.exec(clause);
  if (!braces) return ["*"];
  return braces[1].split(",").map((name) => name.trim())
    .filter((name) => name !== "" && !name.startsWith("type "))
    .map((name) => name.split(/\s/)[0]);
}
