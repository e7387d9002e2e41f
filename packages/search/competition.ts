import type { LayerSpec, ModelSpec, Resource } from "@lopper/core";
import { blockCandidates, channelCandidates, headCandidates } from "./candidate.ts";
import { checkedTargets, checkGroups } from "./check_policy.ts";
import type { PolicyOptions, SearchPolicy, Stage } from "./policy.ts";
import { exchangeAt, resourceOf, savingPolicy } from "./saving.ts";

/**
 * The policy of `--distribution auto`: blocks, channels and heads compete at every step, on the block samples, and what
 * adds the least NLL for what goes with it is taken: for its parameters, or for the time that they take.
 * @throws {UsageError} when a number makes no sense for this model.
 */
export function competition(spec: ModelSpec, options: PolicyOptions): SearchPolicy {
  const targets = checkedTargets(options);
  checkGroups(spec, options);
  const candidates = (layers: readonly LayerSpec[]) => [
    ...blockCandidates(layers),
    ...channelCandidates(layers, options.mlpGroup),
    ...headCandidates(spec, layers, options.attentionGroup),
  ];
  const stages = competing(spec, options, targets, candidates).map((stage): Stage => ({
    ...stage,
    exchange: exchangeAt(spec, options, stage.bound, candidates),
  }));
  return savingPolicy(spec, options, stages);
}

/** A stage for each target, in which all kinds of candidates compete by loss for what they save. */
export function competing(
  spec: ModelSpec,
  options: PolicyOptions,
  targets: readonly number[],
  candidates: Stage["candidates"],
): readonly Stage[] {
  const weight = lossPerSaving(spec, resourceOf(spec, options));
  return targets.map((bound): Stage => ({
    name: "all",
    samples: "block",
    bound,
    candidates,
    narrows: ["channels", "kvGroups"],
    weight,
  }));
}

/** Weights under which candidates compete in nats for each per cent of what the dense model takes. */
function lossPerSaving(
  spec: ModelSpec,
  resource: Resource,
): NonNullable<Stage["weight"]> {
  const percent = resource.amount(spec.layers) / 100;
  return (candidate, layers) =>
    percent / (resource.amount(layers) - resource.amount(candidate.layers));
}
