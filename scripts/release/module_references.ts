import { dirname, join } from "node:path";
import ts from "typescript";

/** What a module names by its place beside it, which a bundler does not follow. */
export interface References {
  /** Modules that are started by themselves, such as threads: their paths. */
  readonly modules: readonly string[];
  /** Files and folders that are read: their paths from the module. */
  readonly files: readonly string[];
}

/**
 * Finds what a module names with `new URL("./x", import.meta.url)`. One that is started is named as
 * `.ts` and, since it is bundled, as `.js`.
 * @throws when it uses its place in a way that cannot be followed, so that a bundle could miss
 *   something.
 */
export function referencesOf(path: string, source: string): References {
  if (!source.includes("import.meta")) return { modules: [], files: [] };
  const parsed = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true);
  const words = placesOf(parsed).flatMap((place) => wordsAt(place, parsed));
  const modules = words.filter((word) => word.endsWith(".ts"));
  const bundled = new Set(modules.map((word) => `./${word.split("/").at(-1)!.slice(0, -3)}.js`));
  return {
    modules: modules.map((word) => join(dirname(path), word)),
    files: words.filter((word) => !word.endsWith(".ts") && !bundled.has(word)),
  };
}

/** Where a module asks for its own place. */
function placesOf(source: ts.SourceFile): readonly ts.MetaProperty[] {
  const found: ts.MetaProperty[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isMetaProperty(node) && node.name.text === "meta") found.push(node);
    node.forEachChild(visit);
  };
  visit(source);
  return found;
}

/** What is named from such a place; nothing where it is asked for something else. */
function wordsAt(meta: ts.MetaProperty, source: ts.SourceFile): readonly string[] {
  const member = meta.parent;
  if (!ts.isPropertyAccessExpression(member)) throw unknown(meta, source);
  const use = member.parent;
  switch (member.name.text) {
    // Whether the module is what was started.
    case "main":
      return [];
    // Where a package is, which is none of ours.
    case "resolve":
      if (ts.isCallExpression(use) && isPackage(use.arguments[0])) return [];
      throw unknown(meta, source);
    case "url":
      // What the module itself is called.
      if (ts.isPropertyAccessExpression(use)) return [];
      if (ts.isNewExpression(use) && use.arguments?.[1] === member) {
        const words = stringsIn(use.arguments[0]);
        if (words.length > 0) return words;
      }
  }
  throw unknown(meta, source);
}

function isPackage(argument: ts.Expression | undefined): boolean {
  return argument !== undefined && ts.isStringLiteral(argument) && !/^[./]/.test(argument.text);
}

/** The strings that an expression may be: one, or either of two. */
function stringsIn(expression: ts.Expression): readonly string[] {
  if (ts.isStringLiteral(expression)) return [expression.text];
  if (!ts.isConditionalExpression(expression)) return [];
  const [one, other] = [expression.whenTrue, expression.whenFalse].map(stringsIn);
  return one.length > 0 && other.length > 0 ? [...one, ...other] : [];
}

function unknown(node: ts.Node, source: ts.SourceFile): Error {
  const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
  return new Error(
    `${source.fileName}:${line + 1}: uses its own place in a way that cannot be bundled; ` +
      'new URL("./x", import.meta.url) with a plain string can',
  );
}
