import { type Cost, NO_COST, sumOfCosts } from "./cost.ts";
import type { History } from "./history.ts";

/**
 * What a run does beside the steps of its search: rankings of units, swaps, refits, as its journal
 * has them.
 */
export type SideWork = "rankings" | "swaps" | "refits";

/** What a run spent beside the steps of its search. */
export function sideWork(
  { rankings, swaps, refits }: History,
): Readonly<Record<SideWork, Cost>> {
  const sum = (lines: readonly { readonly cost: Cost }[]) =>
    lines.reduce((total, { cost }) => sumOfCosts(total, cost), NO_COST);
  return { rankings: sum(rankings), swaps: sum(swaps), refits: sum(refits) };
}
