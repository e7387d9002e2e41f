import { join } from "node:path/posix";

/** A file and the files that it imports by relative paths, types included. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/**
 * Circles of a graph: files that can each be reached from each other, in the order of their names,
 * and a file that imports itself. Strongly connected components by Tarjan (1972).
 */
export function importCircles(graph: ImportGraph): readonly (readonly string[])[] {
  const indices = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string) => {
    indices.set(file, indices.size);
    lowest.set(file, indices.get(file)!);
    open.push(file);
    const imports = (graph.get(file) ?? []).filter((target) => graph.has(target));
    for (const target of imports) {
      if (!indices.has(target)) visit(target);
      if (open.includes(target)) {
        lowest.set(file, Math.min(lowest.get(file)!, lowest.get(target)!));
      }
    }
    if (lowest.get(file) !== indices.get(file)) return;
    const component = open.splice(open.indexOf(file));
    if (component.length > 1 || imports.includes(file)) circles.push(component.sort());
  };
  for (const file of graph.keys()) if (!indices.has(file)) visit(file);
  return circles;
}

/**
 * The path from the root of what `file` imports as `specifier`; null for what is no relative path.
 */
export function targetOf(file: string, specifier: string): string | null {
  return specifier.startsWith(".") ? join(file, "..", specifier) : null;
}
