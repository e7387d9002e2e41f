import type { Candidate } from "@lopper/core";
import type { CandidateKey } from "../candidate_key.ts";
import type { Cost } from "../cost.ts";

/** A swap that was tried, or what came of all that were tried for a target: one line of the journal. */
export type SwapLine = SwapTrial | SwapSummary;

export interface SwapTrial {
  readonly type: "swap";
  /** Steps that the search had taken. */
  readonly steps: number;
  /** What comes back, by the units that its block has then. */
  readonly restored: CandidateKey;
  /** What goes for it; null where the target is reached without. */
  readonly removed: CandidateKey | null;
  /** Published pruning ratio after it, in per cent. */
  readonly ratio: number;
  /** Mean NLL of each sequence of the block samples, in nats per token. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** The same of the text kept aside; null where there is none, or where `after` was against it already. */
  readonly aside: { readonly before: readonly number[]; readonly after: readonly number[] } | null;
  /** What stays of it, by the units that came back and went; null where nothing does. */
  readonly kept: Candidate | null;
  readonly cost: Cost;
}

export interface SwapSummary {
  readonly type: "swaps";
  readonly steps: number;
  readonly tried: number;
  readonly kept: number;
  /** Mean NLL of each sequence of the block samples before the first swap and after the last one. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Of what came after the last swap that was tried. */
  readonly cost: Cost;
}

/** The swaps that were kept, in their order. */
export function keptSwaps(
  lines: readonly SwapLine[],
): readonly (SwapTrial & { readonly kept: Candidate })[] {
  return lines.filter((line) => line.type === "swap")
    .flatMap((line) => line.kept ? [{ ...line, kept: line.kept }] : []);
}
