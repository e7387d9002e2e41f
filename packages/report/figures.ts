import { formatChange, formatPerplexity } from "@lopper/core";

/** What stands where a model's activations overflowed. */
const NOT_FINITE = "not finite";

export function perplexityFigure(value: number): string {
  return Number.isFinite(value) ? formatPerplexity(value) : NOT_FINITE;
}

/** Change from a to b in per cent, with its sign. */
export function changeFigure(a: number, b: number): string {
  return Number.isFinite(a) && Number.isFinite(b) ? formatChange(a, b) : NOT_FINITE;
}
