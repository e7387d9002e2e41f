import { BLOCK_KINDS, type LayerSpec, type ModelSpec, reduction } from "@lopper/core";
import type { LayersScorer } from "./layers_scorer.ts";
import type { Candidate } from "./candidate.ts";
import type { Picker } from "./picker.ts";
import type { SampleKind, SearchPolicy } from "./policy.ts";
import { groupSaving } from "./saving.ts";
import { largestUniformRatio } from "./uniform.ts";

/** A search run on shapes alone, taking at each step the candidate that `choose` picks. */
export interface Rehearsal {
  readonly layers: readonly LayerSpec[];
  /** What is saved of the policy's resource, in per cent. */
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
  let ratio = reduction(policy.resource, spec.layers, layers);
  for (const stage of policy.stages) {
    while (ratio < stage.bound) {
      const candidates = stage.candidates(layers, stage.bound);
      if (candidates.length === 0) break;
      steps.push({ samples: stage.samples, candidates: candidates.length });
      layers = choose(candidates).layers;
      ratio = reduction(policy.resource, spec.layers, layers);
    }
  }
  return { layers, ratio, steps };
}

/**
 * The steps that a search from `layers` on may be expected to have. Where one kind goes after the other, a rehearsal takes the
 * middle candidate of each step; where all kinds compete, groups go more often than the blocks that they are parts of.
 */
export function expectedSteps(
  spec: ModelSpec,
  policy: SearchPolicy,
  layers: readonly LayerSpec[],
): Rehearsal["steps"] {
  const last = policy.stages.at(-1);
  if (!last?.weight) {
    const middle = (all: readonly Candidate[]) => all[Math.floor(all.length / 2)];
    return rehearse(spec, policy, layers, middle).steps;
  }
  const { resource } = policy;
  const saved = (kept: readonly LayerSpec[]) => reduction(resource, spec.layers, kept);
  const left = last.bound - saved(layers);
  const candidates = last.candidates(layers, last.bound);
  if (left <= 0 || candidates.length === 0) return [];
  const steps = Math.ceil(
    left / groupSaving(candidates.map((c) => saved(c.layers) - saved(layers))),
  );
  return Array.from({ length: steps }, () => ({
    samples: last.samples,
    candidates: candidates.length,
  }));
}

/** Candidate-tokens that a picker is expected to score in these steps. */
export function expectedTokens(
  steps: Rehearsal["steps"],
  picker: Picker,
  scorers: Readonly<Record<SampleKind, Pick<LayersScorer, "tokens">>>,
): number {
  return steps.reduce(
    (sum, { samples, candidates }) =>
      sum + picker.expectedTokens(candidates, scorers[samples].tokens),
    0,
  );
}

/** What blocks that are gone took of the resource, and what the width stages would have left of that. */
interface Removal {
  readonly removed: number;
  readonly gained: number;
}

/**
 * The most of its resource, in per cent, that a policy can save on a model, over every order of steps. Stages after the blocks may
 * go on to their end, which narrows each block as far as it goes; so a removed block gains what that would have left of
 * it. The block stage ends with the step that crosses its bound, and which blocks it can take until then to gain most is
 * a knapsack problem, solved exactly.
 */
export function largestReachableRatio(spec: ModelSpec, policy: SearchPolicy): number {
  const { resource } = policy;
  if (policy.uniform) return largestUniformRatio(spec, policy);
  if (policy.stages.some(({ name }) => name === "all")) {
    // Blocks may go to the last one.
    const none = spec.layers.map(() => ({ attention: null, mlp: null }));
    return reduction(resource, spec.layers, none);
  }
  const bound = Math.max(0, ...policy.stages.map((s) => s.name === "blocks" ? s.bound : 0));
  const widthStages = policy.stages.filter(({ name, bound }) => name !== "blocks" && bound > 0)
    .map((stage) => ({ ...stage, bound: 100 }));
  const narrow = rehearse(spec, { ...policy, stages: widthStages }, spec.layers, ([c]) => c).layers;
  const total = resource.amount(spec.layers);
  const ratioWithout = (removed: number) => (1 - (total - removed) / total) * 100;

  // Of the blocks that a search takes, the largest may just as well be the last, the one that crosses the bound.
  const blocks = spec.layers.flatMap((layer, i) =>
    BLOCK_KINDS.filter((kind) => layer[kind] && narrow[i][kind]).map((kind): Removal => ({
      removed: resource.block(layer, kind),
      gained: resource.block(narrow[i], kind),
    }))
  ).sort((a, b) => a.removed - b.removed);
  let below: Removal[] = bound > 0 ? [{ removed: 0, gained: 0 }] : [];
  let most = 0;
  for (const block of blocks) {
    const longer = below.map(({ removed, gained }) => ({
      removed: removed + block.removed,
      gained: gained + block.gained,
    }));
    most = longer.reduce((max, { gained }) => Math.max(max, gained), most);
    below = withoutWorse([
      ...below,
      ...longer.filter(({ removed }) => ratioWithout(removed) < bound),
    ]);
  }
  const narrowed = total - resource.amount(narrow);
  return ratioWithout(narrowed + most);
}

/** Drops what removes no less than another and gains no more. */
function withoutWorse(removals: Removal[]): Removal[] {
  let most = -1;
  return removals.sort((a, b) => a.removed - b.removed || b.gained - a.gained)
    .filter(({ gained }) => {
      if (gained <= most) return false;
      most = gained;
      return true;
    });
}
