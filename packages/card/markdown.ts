import { printableLine } from "@lopper/core";

/**
 * What Markdown, the HTML in it and the hub's mathematics and emoji take for more than a letter.
 */
const SPECIAL = /[\\`*_{}[\]<>()#!|~&$@:]/g;

/**
 * Text of somebody else's in a line of Markdown: it is shown as it is, and is never a link, a tag,
 * a heading or a cell. It may not begin a line.
 */
export function plainText(text: string): string {
  return oneLine(text).replace(SPECIAL, "\\$&").replace(
    /www\./gi,
    (www) => `${www.slice(0, 3)}\\.`,
  );
}

/** The same as code in a line: between more backticks than it has in a row. */
export function codeText(text: string): string {
  const line = oneLine(text);
  const fence = "`".repeat(longestRun(line) + 1);
  const padding = line.startsWith("`") || line.endsWith("`") ? " " : "";
  return `${fence}${padding}${line}${padding}${fence}`;
}

/** A block of code, between more backticks than any of its lines has in a row. */
export function codeBlock(language: string, lines: readonly string[]): string {
  const text = lines.map((line) => printableLine(line.replace(/[\r\n]+/g, " ")));
  const fence = "`".repeat(Math.max(3, ...text.map((line) => longestRun(line) + 1)));
  return [fence + language, ...text, fence].join("\n");
}

/** @param rows whose cells are Markdown; the first column is text, all others are numbers. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, i) => i === 0 ? "---" : "---:");
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** A word as a POSIX shell takes it for one. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function oneLine(text: string): string {
  return printableLine(text.replace(/\s+/g, " ").trim());
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
