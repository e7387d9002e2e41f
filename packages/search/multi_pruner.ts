import type { LayerSpec, ModelSpec } from "@lopper/core";
import { blockCandidates, channelCandidates, headCandidates } from "./candidate.ts";
import { checkedShares, checkedTargets, checkGroups } from "./check_policy.ts";
import type { MultiPrunerOptions, SearchPolicy, Stage } from "./policy.ts";
import { exchangeAt, savingPolicy } from "./saving.ts";

/** Published and related settings of the same search, by name. */
export const PRESETS = {
  multipruner: [44, 52, 4],
  blockpruner: [1, 0, 0],
  width: [0, 1, 0],
  heads: [0, 0, 1],
} as const satisfies Record<string, readonly [number, number, number]>;
export type PresetName = keyof typeof PRESETS;

/**
 * MultiPruner's three stages (arXiv 2501.09949, algorithm 1; bounds as the published code computes them). A run that was
 * extended has them once for each of its ratios, so that what it decided before stands.
 * @throws {UsageError} when a number makes no sense for this model.
 */
export function multiPruner(spec: ModelSpec, options: MultiPrunerOptions): SearchPolicy {
  const { mlpGroup, attentionGroup } = options;
  const targets = checkedTargets(options);
  checkGroups(spec, options);
  // In this order: share first, then product, then sum, so that the bounds are the published ones to the last bit.
  const [blocks, channels, heads] = checkedShares(options);
  // Swaps may move parameters between the kinds, but a share of 0 says that a kind is to stay whole.
  const removals = (layers: readonly LayerSpec[]) => [
    ...(blocks > 0 ? blockCandidates(layers) : []),
    ...(channels > 0 ? channelCandidates(layers, mlpGroup) : []),
    ...(heads > 0 ? headCandidates(spec, layers, attentionGroup) : []),
  ];
  const stages = targets.flatMap((target, i): Stage[] => {
    const start = targets[i - 1] ?? 0;
    const share = target - start;
    const blockBound = start + share * blocks;
    return [
      {
        name: "blocks",
        samples: "block",
        bound: blockBound,
        candidates: blockCandidates,
        narrows: [],
      },
      {
        name: "mlp_channels",
        samples: "width",
        bound: blockBound + share * channels,
        candidates: (layers) => channelCandidates(layers, mlpGroup),
        narrows: ["channels"],
      },
      {
        name: "attention_heads",
        samples: "width",
        bound: target,
        candidates: (layers) => headCandidates(spec, layers, attentionGroup),
        narrows: ["kvGroups"],
        exchange: exchangeAt(spec, options, target, removals),
      },
    ];
  });
  return savingPolicy(spec, options, stages);
}
