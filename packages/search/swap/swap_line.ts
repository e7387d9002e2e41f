import type { Candidate } from "@lopper/core";
import type { SwapLine, SwapTrial } from "../journal_lines.ts";

/** The swaps that were kept, in their order. */
export function keptSwaps(
  lines: readonly SwapLine[],
): readonly (SwapTrial & { readonly kept: Candidate })[] {
  return lines.filter((line) => line.type === "swap")
    .flatMap((line) => line.kept ? [{ ...line, kept: line.kept }] : []);
}
