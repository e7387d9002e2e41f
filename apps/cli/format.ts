/** Numbers and tables as people read them. */

export function formatCount(n: number): string {
  if (n >= 1e9) return `${(n / 1e9).toFixed(2)} B`;
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} M`;
  return n.toLocaleString("en-US");
}

export function formatBytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? n : n.toFixed(1)} ${units[unit]}`;
}

/** "42 s", "3 min 05 s", "2 h 07 min". */
export function formatSeconds(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return seconds < 10 ? `${seconds.toFixed(1)} s` : `${s} s`;
  const pad = (n: number) => String(n).padStart(2, "0");
  if (s < 3600) return `${Math.floor(s / 60)} min ${pad(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${pad(Math.floor(s % 3600 / 60))} min`;
}

export function formatPerplexity(ppl: number): string {
  return ppl >= 10_000 ? ppl.toExponential(2) : ppl.toFixed(2);
}

/** Change from a to b in per cent, with its sign. */
export function formatChange(a: number, b: number): string {
  const change = (b / a - 1) * 100;
  return `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(1)} %`;
}

/** Rows with aligned columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
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
  return `quantised weights (${list.join(", ")}) are read, scored and written as F16`;
}
