import { mean } from "@lopper/core";
import type { Picker } from "./picker.ts";
import type { SampleKind, SearchPolicy } from "./policy.ts";
import type { Proposal } from "./proposal.ts";
import type { RehearsedStep } from "./rehearsed_step.ts";
import { savedBy } from "./saved.ts";
import type { Scorer } from "@lopper/importance";
import type { SearchModel } from "./search_model.ts";
import { denseState, type SearchState, stateAfter } from "./state.ts";
import { largestUniformRatio } from "./uniform.ts";

/** A search that scores nothing, and takes at each step the candidate that `choose` picks. */
export interface Rehearsal {
  readonly state: SearchState;
  /** What is saved of the policy's resource, in per cent. */
  readonly ratio: number;
  readonly steps: readonly RehearsedStep[];
}

/** Rehearses what is left of a search from a state on; it costs no forward pass. */
export function rehearse(
  policy: SearchPolicy,
  from: SearchState,
  choose: (candidates: readonly Proposal[]) => Proposal,
): Rehearsal {
  const steps: RehearsedStep[] = [];
  const savedIn = ({ blocks, shape }: SearchState) => savedBy(policy.resource, blocks, shape);
  let state = from;
  let ratio = savedIn(state);
  for (const stage of policy.stages) {
    const before = steps.length;
    while (ratio < stage.bound) {
      const candidates = stage.candidates(state, stage.bound);
      if (candidates.length === 0) break;
      const isFirst = steps.length === before;
      steps.push({ samples: stage.samples, candidates: candidates.length, isFirst });
      state = stateAfter(state, choose(candidates));
      ratio = savedIn(state);
    }
  }
  return { state, ratio, steps };
}

/**
 * The steps that a search from a state on may be expected to have. Where one kind goes after the
 * other, a rehearsal takes the middle candidate of each step; where all kinds compete, nearly every
 * step takes a group of the dimension that most of the resource lies in: 30 of 30 steps of the
 * embedded model by 20 %, 44 of 51 of SmolLM2-135M.
 */
export function expectedSteps(policy: SearchPolicy, state: SearchState): Rehearsal["steps"] {
  const last = policy.stages.at(-1);
  if (!last?.weight) {
    const middle = (all: readonly Proposal[]) => all[Math.floor(all.length / 2)];
    return rehearse(policy, state, middle).steps;
  }
  const saved = ({ shape }: Pick<SearchState, "shape">) =>
    savedBy(policy.resource, state.blocks, shape);
  const left = last.bound - saved(state);
  const candidates = last.candidates(state, last.bound);
  if (left <= 0 || candidates.length === 0) return [];
  const saving = mean(
    usualCandidates(policy, state, candidates).map((c) => saved(c) - saved(state)),
  );
  const steps = Math.ceil(left / saving);
  return Array.from({ length: steps }, (_, step) => ({
    isFirst: step === 0,
    samples: last.samples,
    candidates: candidates.length,
  }));
}

/** Of all kinds of candidates those that go as a rule. */
function usualCandidates(
  { resource }: SearchPolicy,
  { shape }: SearchState,
  candidates: readonly Proposal[],
): readonly Proposal[] {
  const kinds = Map.groupBy(
    candidates.filter(({ changes }) => changes.every(({ dimension }) => dimension !== null)),
    ({ likeness }) => likeness,
  );
  const held = (kind: readonly Proposal[]) =>
    kind.reduce((sum, { first }) => sum + resource.block(first, shape[first]!), 0);
  return [...kinds.values()].toSorted((a, b) => held(b) - held(a))[0] ?? candidates;
}

/** Candidate-tokens that a picker is expected to score in these steps. */
export function expectedTokens(
  steps: Rehearsal["steps"],
  picker: Picker,
  scorers: Readonly<Record<SampleKind, Pick<Scorer, "tokens">>>,
): number {
  return steps.reduce(
    (sum, { samples, ...step }) => sum + picker.expectedTokens(step, scorers[samples].tokens),
    0,
  );
}

/**
 * What blocks that are gone took of the resource, and what the width stages would have left of
 * that.
 */
interface Removal {
  readonly removed: number;
  readonly gained: number;
}

/**
 * The most of its resource, in per cent, that a policy can save on a model, over every order of
 * steps. Stages after the blocks may go on to their end, which narrows each block as far as it
 * goes; so a removed block gains what that would have left of it. The block stage ends with the
 * step that crosses its bound, and which blocks it can take until then to gain most is a knapsack
 * problem, solved exactly.
 */
export function largestReachableRatio(model: SearchModel, policy: SearchPolicy): number {
  const { resource } = policy;
  if (policy.uniform) return largestUniformRatio(model, policy);
  const dense = denseState(model.blocks);
  if (policy.stages.some(({ name }) => name === "all")) {
    // Blocks may go to the last one.
    return savedBy(resource, model.blocks, dense.shape.map(() => null));
  }
  const bound = Math.max(0, ...policy.stages.map((s) => s.name === "blocks" ? s.bound : 0));
  const widthStages = policy.stages.filter(({ name, bound }) => name !== "blocks" && bound > 0)
    .map((stage) => ({ ...stage, bound: 100 }));
  const narrow = rehearse({ ...policy, stages: widthStages }, dense, ([c]) => c).state.shape;
  const total = resource.amount(dense.shape);
  const ratioWithout = (removed: number) => (1 - (total - removed) / total) * 100;

  // Of the blocks that a search takes, the largest may just as well be the last, the one that
  // crosses the bound.
  const blocks = dense.shape.map((size, at): Removal => ({
    removed: resource.block(at, size!),
    gained: resource.block(at, narrow[at]!),
  })).sort((a, b) => a.removed - b.removed);
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
