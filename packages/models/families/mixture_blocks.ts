import { CORRECTION } from "@lopper/core";
import type { BlockTemplate, PackedTensor, WeightTemplate } from "./family.ts";

/** Where a family has the weights of its mixtures, behind the name of the layer. */
export interface MixtureNames {
  /** What their names begin with. */
  readonly at: string;
  /** The router's, behind that: "gate" unless said. */
  readonly router?: string;
  /** Whether router and experts have biases. */
  readonly biases?: true;
  /** An MLP beside the experts that all tokens go through, weighted by a gate of its own. */
  readonly shared?: string;
  /** The same without a gate. */
  readonly ungated?: string;
  /** What is added to scores for the choice alone, behind `at`. */
  readonly correction?: string;
  /** Some layers have an MLP in place of a mixture. */
  readonly dense?: true;
}

/**
 * The same blocks with a mixture of experts in place of the MLP, or beside it as what a layer may
 * have instead. It loses experts: their rows of the router, and their matrices. Weights of all
 * experts are one tensor under the names that are offered here, whatever tensors hold them.
 */
export function withExperts(
  blocks: readonly BlockTemplate[],
  names: MixtureNames,
): readonly BlockTemplate[] {
  return blocks.flatMap((block) => {
    if (block.attended) return [block];
    const { norm, norm_bias, post_norm } = block.weights;
    const mixture: BlockTemplate = {
      kind: "experts",
      dimension: "experts",
      weights: {
        norm,
        ...(norm_bias && { norm_bias }),
        ...(post_norm && { post_norm }),
        ...mixtureWeights(names),
      },
    };
    return names.dense ? [block, mixture] : [mixture];
  });
}

function mixtureWeights(
  { at, router = "gate", biases, shared, ungated, correction }: MixtureNames,
): Readonly<Record<string, WeightTemplate>> {
  const expert = (projection: string, ...axes: WeightTemplate["axes"]): WeightTemplate => ({
    tensor: `${at}experts.${projection}`,
    axes: ["experts", ...axes],
    stacked: true,
  });
  return {
    router: { tensor: `${at}${router}.weight`, axes: ["experts", "hidden"] },
    ...(correction !== undefined && {
      [CORRECTION]: { tensor: `${at}${correction}`, axes: ["experts"] as const },
    }),
    gate: expert("gate_proj.weight", "expertChannels", "hidden"),
    up: expert("up_proj.weight", "expertChannels", "hidden"),
    down: expert("down_proj.weight", "hidden", "expertChannels"),
    ...(biases && {
      router_bias: { tensor: `${at}${router}.bias`, axes: ["experts"] },
      gate_bias: expert("gate_proj.bias", "expertChannels"),
      up_bias: expert("up_proj.bias", "expertChannels"),
      down_bias: expert("down_proj.bias", "hidden"),
    }),
    ...(ungated !== undefined && sharedWeights(at + ungated)),
    ...(shared !== undefined && {
      ...sharedWeights(at + shared),
      shared_router: { tensor: `${at}${shared}_gate.weight`, axes: ["one", "hidden"] as const },
    }),
  };
}

function sharedWeights(name: string): Readonly<Record<string, WeightTemplate>> {
  const projection = (of: string) => `${name}.${of}_proj.weight`;
  return {
    shared_gate: { tensor: projection("gate"), axes: ["sharedChannels", "hidden"] },
    shared_up: { tensor: projection("up"), axes: ["sharedChannels", "hidden"] },
    shared_down: { tensor: projection("down"), axes: ["hidden", "sharedChannels"] },
  };
}

/**
 * Where checkpoints have a matrix for each expert: what its tensors are called at the ends of their
 * names.
 */
export function oneTensorEach(
  at: string,
  [gate, up, down]: readonly [gate: string, up: string, down: string],
): readonly PackedTensor[] {
  const matrix = (weight: string, name: string): PackedTensor => ({
    tensor: `${at}experts.{e}.${name}.weight`,
    kind: "experts",
    weights: [weight],
  });
  return [matrix("gate", gate), matrix("up", up), matrix("down", down)];
}
