import { type BlockKind, type LayerSpec, type ModelSpec, pruningRatio } from "@lopper/core";
import type { Candidate } from "./candidate.ts";
import type { SearchPolicy } from "./policy.ts";

/** A search run on shapes alone, taking at each step the candidate that `choose` picks. */
export interface Rehearsal {
  readonly ratio: number;
  /** Candidates of every step, with the samples on which they would be scored. */
  readonly steps: readonly { readonly samples: "block" | "width"; readonly candidates: number }[];
}

/** Rehearses what is left of a search from `layers` on; it costs no forward pass. */
export function rehearse(
  spec: ModelSpec,
  policy: SearchPolicy,
  layers: readonly LayerSpec[],
  choose: (candidates: readonly Candidate[]) => Candidate,
): Rehearsal {
  const steps: { samples: "block" | "width"; candidates: number }[] = [];
  let ratio = pruningRatio(spec, layers);
  for (const stage of policy.stages) {
    while (ratio < stage.bound) {
      const candidates = stage.candidates(layers);
      if (candidates.length === 0) break;
      steps.push({ samples: stage.samples, candidates: candidates.length });
      layers = choose(candidates).layers;
      ratio = pruningRatio(spec, layers);
    }
  }
  return { ratio, steps };
}

/**
 * The largest ratio in per cent that a policy can reach on a model. What the block stage removes leaves less for the
 * later stages, so the orders that leave most are tried: the smallest blocks first, attention or MLPs before the others,
 * and the two in turn.
 */
export function largestReachableRatio(spec: ModelSpec, policy: SearchPolicy): number {
  const boundless: SearchPolicy = {
    ...policy,
    // Later stages may go on to their end; the block stage ends where it would.
    stages: policy.stages.map((stage) =>
      stage.name === "blocks" || stage.bound <= 0 ? stage : { ...stage, bound: 100 }
    ),
  };
  const smallest = (candidates: readonly Candidate[]) => {
    const ratios = candidates.map(({ layers }) => pruningRatio(spec, layers));
    return candidates[ratios.indexOf(Math.min(...ratios))];
  };
  const first = (kind: BlockKind) => (candidates: readonly Candidate[]) => {
    const ofKind = candidates.filter((candidate) => candidate.kind === kind);
    return smallest(ofKind.length > 0 ? ofKind : candidates);
  };
  const choosers: ((candidates: readonly Candidate[]) => Candidate)[] = [
    smallest,
    first("attention"),
    first("mlp"),
    (candidates) => candidates[Math.floor(candidates.length / 2)],
  ];
  return Math.max(
    ...choosers.map((choose) => rehearse(spec, boundless, spec.layers, choose).ratio),
  );
}
