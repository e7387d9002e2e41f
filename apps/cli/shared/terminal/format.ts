/** Tables as people read them, and the numbers in them. */
import { formatBytes, printableLine } from "@lopper/core";
import { dtypeOfQuantised } from "@lopper/models";

/** Rows with aligned columns: the first to the left, the others to the right. */
export function table(cells: readonly (readonly string[])[]): string {
  // As they will be seen, so that columns keep their places.
  const rows = cells.map((row) => row.map(printableLine));
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  }
  return rows.map((row) =>
    "  " + row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))
      .join("   ").trimEnd()
  ).join("\n");
}

/** What becomes of weights that are quantised in the file. */
export function describeQuantised(types: Readonly<Record<string, number>>): string {
  const list = Object.entries(types).map(([type, bytes]) => `${type} ${formatBytes(bytes)}`);
  const dtype = dtypeOfQuantised(types);
  return `quantised weights (${list.join(", ")}) are read, scored and written as ${dtype}`;
}
