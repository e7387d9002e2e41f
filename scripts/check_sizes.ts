/**
 * Holds what a reader can take in at once: no file of more than 300 lines, no function of more than 60, no type of more
 * than ten fields that is handed about. Tests, their helpers and data are as long as they are; a schema is as wide as what
 * it describes.
 *
 * Usage: deno run --allow-read --allow-env scripts/check_sizes.ts [ROOT]
 */
import { join } from "node:path";
import ts from "typescript";
import { fieldsOf, type TypesByName, typesByName } from "./sizes/fields.ts";

const MAX_FILE_LINES = 300;
const MAX_FUNCTION_LINES = 60;
const MAX_FIELDS = 10;

const FOLDERS = ["packages", "apps", "scripts", "benchmarks"];
const LEFT_OUT = /_test\.ts$|\/testing\/|\/data\/|\/results\//;
const SCHEMA = /schema[^/]*\.ts$/;

/** Types that may have more fields, each with the reason. */
const WIDE: Readonly<Record<string, string>> = {};

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly problem: string;
}

/** What is too large in a tree of sources by their paths from its root. */
export function checkSizes(
  sources: ReadonlyMap<string, string>,
  wide: Readonly<Record<string, string>> = WIDE,
): readonly Finding[] {
  const parsed = Array.from(
    sources,
    ([file, text]) => ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true),
  );
  const types = typesByName(parsed);
  const found = parsed.filter(({ fileName }) => !LEFT_OUT.test(fileName))
    .flatMap((source) => checkFile(source, types, wide));
  const needless = Object.keys(wide).filter((name) =>
    !(types.get(name) ?? []).some((type) => fieldsOf(type, types).size > MAX_FIELDS)
  );
  return [
    ...found,
    ...needless.map((name) => ({
      file: "scripts/check_sizes.ts",
      line: 1,
      problem: `lists ${name} as wide, and no type of that name is`,
    })),
  ];
}

function checkFile(
  source: ts.SourceFile,
  types: TypesByName,
  wide: Readonly<Record<string, string>>,
): readonly Finding[] {
  const file = source.fileName;
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const found: Finding[] = [];
  const lines = lineOf(source.text.trimEnd().length);
  if (lines > MAX_FILE_LINES) {
    const problem = `has ${lines} lines; ${MAX_FILE_LINES} are as many as a file may have`;
    found.push({ file, line: 1, problem });
  }
  const visit = (node: ts.Node) => {
    const line = lineOf(node.getStart(source));
    if (ts.isFunctionLike(node) && "body" in node && node.body) {
      const length = lineOf(node.getEnd()) - line + 1;
      if (length > MAX_FUNCTION_LINES) {
        const problem = `${nameOf(node)} has ${length} lines; ${MAX_FUNCTION_LINES} are as many ` +
          `as a function may have`;
        found.push({ file, line, problem });
      }
    }
    if (isType(node) && !SCHEMA.test(file)) {
      const { size } = fieldsOf(node, types);
      const name = nameOf(node);
      if (size > MAX_FIELDS && !Object.hasOwn(wide, name)) {
        const problem = `${name} has ${size} fields; ${MAX_FIELDS} are as many as is handed about`;
        found.push({ file, line, problem });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** A type with fields: one with a name, or one that is written where it is used. */
function isType(node: ts.Node): boolean {
  if (ts.isTypeLiteralNode(node) || ts.isIntersectionTypeNode(node)) {
    return !ts.isTypeAliasDeclaration(node.parent);
  }
  return ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
}

function nameOf(node: ts.Node): string {
  const named = (each: ts.Node) => {
    const { name } = each as { readonly name?: ts.Node };
    return name && !ts.isObjectBindingPattern(name) ? name.getText() : undefined;
  };
  if (ts.isConstructorDeclaration(node)) return "constructor";
  return named(node) ?? (node.parent && named(node.parent)) ?? "what stands here";
}

async function* sourcesIn(root: string, folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(join(root, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sourcesIn(root, path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

if (import.meta.main) {
  const root = Deno.args[0] ?? ".";
  const files = new Map<string, string>();
  for (const folder of FOLDERS) {
    for await (const file of sourcesIn(root, folder)) {
      files.set(file, await Deno.readTextFile(join(root, file)));
    }
  }
  const found = checkSizes(files);
  for (const { file, line, problem } of found) console.error(`${file}:${line}: ${problem}`);
  console.log(`${files.size} files, ${found.length} too large`);
  Deno.exit(found.length === 0 && files.size > 0 ? 0 : 1);
}
