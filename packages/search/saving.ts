import { type ModelSpec, parametersOf, reduction, type Resource } from "@lopper/core";
import { restorations } from "./candidate.ts";
import type { Exchange, PolicyOptions, SearchPolicy, Stage } from "./policy.ts";

/** What a search with these options is to save. */
export function resourceOf(spec: ModelSpec, { resource }: PolicyOptions): Resource {
  return resource ?? parametersOf(spec);
}

/**
 * The policy of these stages. Candidates that save nothing are left out: a narrower block has fewer parameters in any case, and may
 * take as long as before. Where kinds compete, none goes further beyond the stage's bound than a group could: a block where a
 * group would do is more than was asked for.
 */
export function savingPolicy(
  spec: ModelSpec,
  options: PolicyOptions,
  stages: readonly Stage[],
): SearchPolicy {
  const resource = resourceOf(spec, options);
  const saving = (stage: Stage): Stage["candidates"] => (layers, bound) => {
    const now = resource.amount(layers);
    const all = stage.candidates(layers, bound).filter((c) => resource.amount(c.layers) < now);
    if (!stage.weight) return all;
    const saved = reduction(resource, spec.layers, layers);
    const savings = all.map((c) => reduction(resource, spec.layers, c.layers) - saved);
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
 * What a group saves where blocks and groups compete: the lower quartile of what all candidates save, and not the least, since
 * some groups save next to nothing of a resource that is not parameters.
 */
export function groupSaving(savings: readonly number[]): number {
  return savings.toSorted((a, b) => a - b)[Math.floor(savings.length / 4)];
}

/** What may be swapped where so much of the parameters is gone: anything may come back, and `removals` go. */
export function exchangeAt(
  spec: ModelSpec,
  groups: PolicyOptions,
  target: number,
  removals: Exchange["removals"],
): Exchange {
  return {
    target,
    restorations: (layers, last) => restorations(spec, layers, last, groups),
    removals,
  };
}
