import { blockCandidates, groupCandidates } from "./candidates.ts";
import { checkedShares, checkedTargets, checkGroups, sharedOut } from "./check_policy.ts";
import type { MultiPrunerOptions, SearchPolicy, Stage } from "./policy.ts";
import { exchangeAt, savingPolicy } from "./saving.ts";
import type { SearchModel } from "./search_model.ts";
import type { SearchState } from "./state.ts";

/** Published and related settings of the same search, by name. */
export const PRESETS = {
  multipruner: [44, 52, 4],
  blockpruner: [1, 0, 0],
  width: [0, 1, 0],
  heads: [0, 0, 1],
} as const satisfies Record<string, readonly [number, number, number]>;
export type PresetName = keyof typeof PRESETS;

/**
 * MultiPruner's stages (arXiv 2501.09949, algorithm 1; bounds as the published code computes them):
 * blocks, and then each dimension. Where the last of them has nothing left to go, in which the
 * published code ends below its target, those before it that have a share go on. A run that was
 * extended has them once for each of its ratios, so
 * that what it decided before stands.
 * @throws {UsageError} when a number makes no sense for this model.
 */
export function multiPruner(model: SearchModel, options: MultiPrunerOptions): SearchPolicy {
  const dimensions = sharedOut(model, options);
  const targets = checkedTargets(options);
  checkGroups(model, options);
  const [ofBlocks, ...ofDimensions] = checkedShares(model, options);
  // Swaps may move parameters between the kinds, but a share of 0 says that a kind is to stay
  // whole.
  const removals = (state: SearchState) => [
    ...(ofBlocks > 0 ? blockCandidates(state) : []),
    ...dimensions.flatMap((dimension, d) =>
      ofDimensions[d] > 0 ? groupCandidates(state, dimension, options) : []
    ),
  ];
  const stages = targets.flatMap((target, i): Stage[] => {
    const start = targets[i - 1] ?? 0;
    const share = target - start;
    // In this order: share first, then product, then sum, so that the bounds are the published ones
    // to the last bit.
    let bound = start + share * ofBlocks;
    const blocks: Stage = {
      name: "blocks",
      samples: "block",
      bound,
      candidates: blockCandidates,
      narrows: [],
    };
    const widths = dimensions.map((dimension, d): Stage => {
      const { name } = dimension;
      const isLast = d === dimensions.length - 1;
      bound = isLast ? target : bound + share * ofDimensions[d];
      return {
        name,
        samples: "width",
        bound,
        candidates: (state) => groupCandidates(state, dimension, options),
        narrows: [name],
      };
    });
    const others = widths.filter((_, d) => d < widths.length - 1 && ofDimensions[d] > 0)
      .map((stage): Stage => ({ ...stage, bound: target, takesOver: true }));
    const all = [blocks, ...widths, ...others];
    return all.with(-1, {
      ...all.at(-1)!,
      exchange: exchangeAt(options, target, removals),
    });
  });
  return savingPolicy(model, options, stages);
}
