import type { Exchange } from "../policy.ts";
import { savedBy } from "../saved.ts";
import { releaseAll, type Search, type SearchEvent, type SearchPosition } from "../search.ts";
import { swapSearch } from "./swap.ts";
import { keptSwaps } from "./swap_line.ts";

/**
 * Swaps blocks and groups around what the steps left; nothing where an earlier target reached as
 * far.
 */
export async function* swapUnits(
  search: Search,
  reached: SearchPosition,
  exchange: Exchange,
): AsyncGenerator<SearchEvent, SearchPosition> {
  const { model, options, history, gauge } = search;
  const steps = reached.steps.length;
  const isNew = steps > (reached.swaps.at(-1)?.steps ?? 0);
  if (!options.swap || !isNew) return reached;
  releaseAll(options.scorers);
  const saved = savedBy(model.parameters, model.blocks, reached.state.shape);
  const target = Math.min(exchange.target, saved);
  const { state, last, lines } = yield* swapSearch(model, { ...reached, steps }, {
    ...exchange,
    target,
  }, {
    scorer: options.scorers.block,
    validation: options.swap.validation,
    recorded: history.swaps,
    measure: options.measure,
    onWork: options.onMeasuring,
    gauge: async function* (swap, shape) {
      return !gauge.exceeds(yield* gauge.afterSwap(steps, swap, shape));
    },
  });
  return {
    ...reached,
    state,
    last,
    changes: [...reached.changes, ...keptSwaps(lines).flatMap(({ kept }) => kept)],
    swaps: [...reached.swaps, ...lines],
    scored: reached.scored && { ...reached.scored, nll: null },
  };
}
