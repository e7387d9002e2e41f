/** Numbers as people read them. */

/** "1 channel", "1,024 channels". */
export function plural(n: number, what: string): string {
  return `${n.toLocaleString("en-US")} ${what}${n === 1 ? "" : "s"}`;
}

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

/** Milliseconds with three digits: "128 ms", "12.5 ms", "0.125 ms". */
export function formatMilliseconds(ms: number): string {
  return `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms`;
}

/** What stands where a model's activations overflowed. */
const NOT_FINITE = "not finite";

export function formatPerplexity(ppl: number): string {
  if (!Number.isFinite(ppl)) return NOT_FINITE;
  return ppl >= 10_000 ? ppl.toExponential(2) : ppl.toFixed(2);
}

/** A pruning ratio, in per cent: two digits behind the point at most. */
export function formatRatio(ratio: number): string {
  return `${Number(ratio.toFixed(2))} %`;
}

/** Change from a to b in per cent, with its sign. */
export function formatChange(a: number, b: number): string {
  const change = (b / a - 1) * 100;
  if (!Number.isFinite(change)) return NOT_FINITE;
  return `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(1)} %`;
}

/**
 * Characters that are shown of a value in a message; a checkpoint may have texts and lists of any
 * length.
 */
const SHOWN_CHARACTERS = 80;

/** A value of a file as JSON, for a message: no longer than a line. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
