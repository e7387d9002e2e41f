/**
 * Holds what a reader can take in at once: no file of more than 300 lines, no function of more than
 * 60, no type of more than ten fields that is handed about, no comment wider than a line. Tests,
 * their helpers and data are as long as they are; a schema is as wide as what it describes.
 *
 * Usage: deno run --allow-read --allow-env scripts/check_sizes.ts [ROOT]
 */
import { join } from "node:path";
import ts from "typescript";
import { fieldsOf, type TypesByName, typesByName } from "./sizes/fields.ts";

const MAX_FILE_LINES = 300;
const MAX_FUNCTION_LINES = 60;
const MAX_FIELDS = 10;
/** As for code. */
const MAX_COLUMNS = 100;

const FOLDERS = ["packages", "apps", "scripts", "benchmarks"];
const LEFT_OUT = /_test\.ts$|\/testing\/|\/data\/|\/results\//;
const SCHEMA = /schema[^/]*\.ts$/;

/** Types that may have more fields, or files of such types, each with the reason. */
const WIDE: Readonly<Record<string, string>> = {
  Architecture: "all that computing a model depends on: an architecture as its families declare it",
  Block: "all that computing one depends on, as its family declares it",
  ComparedModel: "what comparison.json says of a model, as it is read again",
  GgufArchitecture: "a row of the list of llama.cpp's architectures, as Family is",
  Family: "a row of the list of families: all in which one differs from another",
  Scorer: "a port: all that a search asks of what runs the model",
  "packages/run/options/setting.ts":
    "a row of the table of options: what one option says of itself",
};

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
  const read = parsed.filter(({ fileName }) => !LEFT_OUT.test(fileName));
  const found = read.flatMap((source) => wideTypes(source, types));
  const isListed = ({ file, name }: WideType) =>
    Object.hasOwn(wide, name) || Object.hasOwn(wide, file);
  const needless = Object.keys(wide)
    .filter((listed) => !found.some(({ file, name }) => listed === name || listed === file));
  return [
    ...parsed.flatMap(wideComments),
    ...read.flatMap((source) => [...longFile(source), ...longFunctions(source)]),
    ...found.filter((type) => !isListed(type)).map(({ file, line, name, fields }) => ({
      file,
      line,
      problem: `${name} has ${fields} fields; ${MAX_FIELDS} are as many as is handed about`,
    })),
    ...needless.map((listed) => ({
      file: "scripts/check_sizes.ts",
      line: 1,
      problem: `lists ${listed} as wide, and there is no such type`,
    })),
  ];
}

/** Lines that are comments; the formatter leaves them as they are. */
const COMMENT = /^ *(?:\/\*\*|\*|\/\/) /;

function wideComments(source: ts.SourceFile): readonly Finding[] {
  return source.text.split("\n").flatMap((text, i) => {
    const columns = Array.from(text).length;
    if (columns <= MAX_COLUMNS || !COMMENT.test(text)) return [];
    const problem = `a comment of ${columns} columns; ${MAX_COLUMNS} are the width of a line`;
    return [{ file: source.fileName, line: i + 1, problem }];
  });
}

function longFile(source: ts.SourceFile): readonly Finding[] {
  const lines = lineOf(source, source.text.trimEnd().length);
  if (lines <= MAX_FILE_LINES) return [];
  const problem = `has ${lines} lines; ${MAX_FILE_LINES} are as many as a file may have`;
  return [{ file: source.fileName, line: 1, problem }];
}

function longFunctions(source: ts.SourceFile): readonly Finding[] {
  return nodesOf(source).flatMap((node) => {
    if (!ts.isFunctionLike(node) || !("body" in node) || !node.body) return [];
    const line = lineOf(source, node.getStart(source));
    const lines = lineOf(source, node.getEnd()) - line + 1;
    if (lines <= MAX_FUNCTION_LINES) return [];
    const most = `${MAX_FUNCTION_LINES} are as many as a function may have`;
    return [{
      file: source.fileName,
      line,
      problem: `${nameOf(node)} has ${lines} lines; ${most}`,
    }];
  });
}

interface WideType {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly fields: number;
}

function wideTypes(source: ts.SourceFile, types: TypesByName): readonly WideType[] {
  const file = source.fileName;
  if (SCHEMA.test(file)) return [];
  return nodesOf(source).filter(isType).flatMap((node) => {
    const fields = fieldsOf(node, types).size;
    const line = lineOf(source, node.getStart(source));
    return fields > MAX_FIELDS ? [{ file, line, name: nameOf(node), fields }] : [];
  });
}

function lineOf(source: ts.SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}

/** All nodes of a source, the outer before the inner. */
function nodesOf(source: ts.SourceFile): readonly ts.Node[] {
  const nodes: ts.Node[] = [];
  const visit = (node: ts.Node) => {
    nodes.push(node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return nodes;
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
    else if (/\.tsx?$/.test(entry.name)) yield path;
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
