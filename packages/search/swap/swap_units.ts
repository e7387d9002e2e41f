import { pruningRatio } from "@lopper/core";
import { blockOf } from "../candidate.ts";
import type { Exchange } from "../policy.ts";
import { type Reached, releaseAll, type Search, type SearchEvent } from "../search.ts";
import { swapSearch } from "./swap.ts";
import { keptSwaps } from "./swap_line.ts";
import { removalsAfter } from "./swap_pairs.ts";

/** Swaps blocks and groups around what the steps left; nothing where an earlier target reached as far. */
export async function* swapUnits(
  search: Search,
  reached: Reached,
  exchange: Exchange,
): AsyncGenerator<SearchEvent, Reached> {
  const { spec, options, history, gauge } = search;
  const steps = reached.steps.length;
  const isNew = steps > (reached.swaps.at(-1)?.steps ?? 0);
  if (!options.swap || !isNew) return reached;
  releaseAll(options.scorers);
  const target = Math.min(exchange.target, pruningRatio(spec, reached.layers));
  const { layers, last, lines } = yield* swapSearch(spec, { ...reached, steps }, {
    ...exchange,
    target,
  }, {
    scorer: options.scorers.block,
    aside: options.swap.aside,
    recorded: history.swaps,
    measure: options.measure,
    onWork: options.onMeasuring,
    gauge: async function* (swap, layers) {
      return !gauge.exceeds(yield* gauge.afterSwap(steps, swap, layers));
    },
  });
  let { removalOrder } = reached;
  for (const { restored, removed } of keptSwaps(lines)) {
    const went = removed && { ...blockOf(removed), width: removed.width };
    removalOrder = removalsAfter(removalOrder, blockOf(restored), went);
  }
  return {
    ...reached,
    layers,
    last,
    removalOrder,
    swaps: [...reached.swaps, ...lines],
    scored: reached.scored && { ...reached.scored, nll: null },
  };
}
