import { isSignificantFall, mean } from "@lopper/core";
import type { Cost } from "../cost.ts";
import type { MeasureEvent } from "../gauge.ts";
import { namesOf } from "./replay_swaps.ts";
import type { SwapPair } from "./swap_pairs.ts";
import type { Finalist } from "./swap_race.ts";
import type { SwapBase, SwapEvent, SwapOptions, TriedSwaps } from "./swap_state.ts";
import type { SwapTrial } from "../journal_lines.ts";

/** Tries swaps in their order, until one is kept. */
export async function* tryFinalists(
  base: SwapBase,
  finalists: readonly Finalist[],
  { steps, number, lap }: {
    readonly steps: number;
    /** How many swaps were tried before. */
    readonly number: number;
    /** The work since the last line. */
    readonly lap: () => Cost;
  },
  options: SwapOptions,
): AsyncGenerator<SwapEvent, TriedSwaps> {
  const refused: SwapPair[] = [];
  const lines: SwapTrial[] = [];
  let { validation } = base;
  for (const { pair, nll } of finalists) {
    const judged = yield* judge({ ...base, validation }, pair, nll, number + lines.length, options);
    validation = judged.validation?.before ?? validation;
    const { ratio } = pair;
    const line: SwapTrial = {
      type: "swap",
      steps,
      ...namesOf(pair),
      ratio,
      ...judged,
      cost: lap(),
    };
    lines.push(line);
    yield { type: "swap", line, resumed: false };
    if (line.kept) return { taken: { pair, line }, refused, lines };
    refused.push(pair);
  }
  return { taken: null, refused, lines };
}

/** Whether a swap stays, and what says so. @param number how many were tried before it. */
async function* judge(
  base: SwapBase,
  { both }: SwapPair,
  nll: readonly number[],
  number: number,
  { validation, gauge, onWork }: SwapOptions,
): AsyncGenerator<MeasureEvent, Pick<SwapTrial, "before" | "after" | "validation" | "kept">> {
  const found = { before: base.nll, after: nll, validation: null };
  if (!isSignificantFall(base.nll, nll)) return { ...found, kept: null };
  let apart: SwapTrial["validation"] = null;
  if (validation) {
    const before = base.validation ??
      (await validation.evaluate(base.state.shape, onWork)).sequenceNll;
    apart = { before, after: (await validation.evaluate(both.shape, onWork)).sequenceNll };
    if (!(mean(apart.after) <= mean(apart.before))) {
      return { ...found, validation: apart, kept: null };
    }
  }
  return {
    ...found,
    validation: apart,
    kept: (yield* gauge(number, both.shape)) ? both.changes : null,
  };
}
