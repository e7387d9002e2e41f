import { denseShape } from "@lopper/core";
import type { Resource } from "@lopper/core";
import { blockCandidates, groupCandidates } from "./candidates.ts";
import { checkedTargets, checkGroups, dimensionsOf } from "./check_policy.ts";
import type { PolicyOptions, SearchPolicy, Stage } from "./policy.ts";
import { exchangeAt, resourceOf, savingPolicy } from "./saving.ts";
import type { SearchModel } from "./search_model.ts";
import type { SearchState } from "./state.ts";
import { tableCells } from "./table/cells.ts";

/**
 * The policy of `--distribution auto`: blocks and groups of every dimension compete at every step,
 * on the block samples, and what adds the least NLL for what goes with it is taken: for its
 * parameters, or for the time that they take.
 * @throws {UsageError} when a number makes no sense for this model.
 */
export function competition(model: SearchModel, options: PolicyOptions): SearchPolicy {
  const targets = checkedTargets(options);
  checkGroups(model, options);
  const candidates = (state: SearchState) => [
    ...blockCandidates(state),
    ...dimensionsOf(model, options).flatMap((dimension) =>
      groupCandidates(state, dimension, options)
    ),
  ];
  const stages = competing(model, options, targets, candidates).map((stage): Stage => ({
    ...stage,
    table: { cells: (state) => tableCells(model, options, state), groups: options.groups },
    exchange: exchangeAt(options, stage.bound, candidates),
  }));
  return savingPolicy(model, options, stages);
}

/** A stage for each target, in which all kinds of candidates compete by loss for what they save. */
export function competing(
  model: SearchModel,
  options: PolicyOptions,
  targets: readonly number[],
  candidates: Stage["candidates"],
): readonly Stage[] {
  const weight = lossPerSaving(model, resourceOf(model, options));
  return targets.map((bound): Stage => ({
    name: "all",
    samples: "block",
    bound,
    candidates,
    narrows: dimensionsOf(model, options).map(({ name }) => name),
    weight,
  }));
}

/**
 * Weights under which candidates compete in nats for each per cent of what the dense model takes.
 */
function lossPerSaving(
  { blocks }: SearchModel,
  resource: Resource,
): NonNullable<Stage["weight"]> {
  const percent = resource.amount(denseShape(blocks)) / 100;
  return (candidate, state) =>
    percent / (resource.amount(state.shape) - resource.amount(candidate.shape));
}
