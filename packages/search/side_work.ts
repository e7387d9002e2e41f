import type { SideWork } from "@lopper/core";
import { type Cost, NO_COST, sumOfCosts } from "./cost.ts";
import type { History } from "./history.ts";

/** What a run spent beside the steps of its search. */
export function sideWork(
  { arrangements, swaps, repairs }: History,
): Readonly<Record<SideWork, Cost>> {
  const sum = (lines: readonly { readonly cost: Cost }[]) =>
    lines.reduce((total, { cost }) => sumOfCosts(total, cost), NO_COST);
  return { orders: sum(arrangements), swaps: sum(swaps), repairs: sum(repairs) };
}
