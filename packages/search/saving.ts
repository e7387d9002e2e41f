import type { Resource } from "@lopper/core";
import type { Exchange, PolicyOptions, SearchPolicy, Stage } from "./policy.ts";
import { restorations } from "./restorations.ts";
import { savedBy } from "./saved.ts";
import type { SearchModel } from "./search_model.ts";

/** What a search with these options is to save. */
export function resourceOf(model: SearchModel, { resource }: PolicyOptions): Resource {
  return resource ?? model.parameters;
}

/**
 * The policy of these stages. Candidates that save nothing are left out: a narrower block has fewer
 * parameters in any case, and may take as long as before. Where kinds compete, none goes further
 * beyond the stage's bound than a group could: a block where a group would do is more than was
 * asked for.
 */
export function savingPolicy(
  model: SearchModel,
  options: PolicyOptions,
  stages: readonly Stage[],
): SearchPolicy {
  const resource = resourceOf(model, options);
  const saving = (stage: Stage): Stage["candidates"] => (state, bound) => {
    const now = resource.amount(state.shape);
    const all = stage.candidates(state, bound).filter(({ shape }) => resource.amount(shape) < now);
    if (!stage.weight) return all;
    const saved = savedBy(resource, model.blocks, state.shape);
    const savings = all.map(({ shape }) => savedBy(resource, model.blocks, shape) - saved);
    const most = bound - saved + groupSaving(savings);
    return all.filter((_, i) => savings[i] <= most);
  };
  return {
    target: options.ratio,
    resource,
    stages: stages.map((stage) => ({ ...stage, candidates: saving(stage) })),
  };
}

/**
 * What a group saves where blocks and groups compete: the lower quartile of what all candidates
 * save, and not the least, since some groups save next to nothing of a resource that is not
 * parameters.
 */
function groupSaving(savings: readonly number[]): number {
  return savings.toSorted((a, b) => a - b)[Math.floor(savings.length / 4)];
}

/**
 * What may be swapped where so much of the parameters is gone: anything may come back, and
 * `removals` go.
 */
export function exchangeAt(
  options: PolicyOptions,
  target: number,
  removals: Exchange["removals"],
): Exchange {
  return {
    target,
    restorations: (state, last) => restorations(state, last, options),
    removals,
  };
}
