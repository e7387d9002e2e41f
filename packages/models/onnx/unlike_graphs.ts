import { type Architecture, type Block, haveWeight, type Norm, ropesOf } from "@lopper/core";
import type { Family } from "../families/family.ts";

const NORMS: Readonly<Record<Norm["kind"], string | null>> = {
  rms: null,
  rms1p: "norms whose gain is 1 + w",
  layer: "norms that subtract the mean",
  layer1p: "norms that subtract the mean",
};

/**
 * What a model has that no graph is read with by what its nodes and names say, in words; null for
 * nothing.
 */
export function unlikeGraphs(
  architecture: Pick<Architecture, "norm" | "outer" | "scaling" | "blocks">,
  { mixtureLayers }: Pick<Family, "mixtureLayers">,
): string | null {
  const { norm, outer, scaling, blocks } = architecture;
  // Names of weights do not tell an MLP from what may stand in its place.
  if (mixtureLayers) return "experts";
  for (const block of blocks) {
    const found = unlikeBlock(block);
    if (found !== null) return found;
  }
  if (NORMS[norm.kind] !== null) return NORMS[norm.kind];
  if (outer.some((part) => part !== "finalNorm")) return "learned positions, or biases of its head";
  if (scaling?.logitCap !== undefined) return "capped logits";
  return ropesOf(architecture).length > 1 ? "layers that rotate in different ways" : null;
}

function unlikeBlock(block: Block): string | null {
  const { attention, activation = "silu", placement, parallel } = block;
  if (block.routing) return "experts";
  if (placement === "both") return "norms before and behind its blocks";
  if (parallel) return "attention and MLPs side by side";
  if (!attention) {
    if (activation !== "silu") return `MLPs with ${activation}`;
    return haveWeight([block], "gate") ? null : "MLPs without a gate";
  }
  if (haveWeight([block], "slopes")) return "scores that fall by distance";
  if (haveWeight([block], "sinks")) return "attention sinks";
  if (haveWeight([block], "output_gate")) return "a gate behind attention";
  if (attention.softCap !== null) return "capped scores";
  if (attention.clip !== undefined) return "clipped queries and keys";
  return attention.rope?.pairs ? "neighbouring channels that are rotated together" : null;
}
