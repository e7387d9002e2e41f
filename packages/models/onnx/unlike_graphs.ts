import {
  type Architecture,
  type Block,
  haveWeight,
  type Norm,
  ropesOf,
  UnsupportedModelError,
} from "@lopper/core";
import type { Family } from "../families/family.ts";

const NORMS: Readonly<Record<Norm["kind"], string | null>> = {
  rms: null,
  rms1p: "norms whose gain is 1 + w",
  layer: "norms that subtract the mean",
  layer1p: "norms that subtract the mean",
};
const BOTH_SIDES = "norms before and behind its blocks";
const NEIGHBOURS = "neighbouring channels that are rotated together";

/** What is said of a family whose graphs are not read where another program wrote them. */
export function notReadOfOthers(file: string, { modelType }: Family, has: string) {
  return new UnsupportedModelError(
    `${file}: ${modelType} has ${has}, of which Lopper reads no graphs but its own; ` +
      "open the model's safetensors, or a GGUF file of it",
  );
}

/**
 * What all models of a family have that no graph is read with by what its nodes and names say, in
 * words; null for nothing.
 */
export function unlikeFamily(family: Family): string | null {
  const { norm, placement, pairs, mixtureLayers, blocks } = family;
  // Names of weights do not tell an MLP from what may stand in its place.
  if (mixtureLayers || blocks.some(({ kind }) => kind === "experts")) return "experts";
  if (NORMS[norm] !== null) return NORMS[norm];
  if (placement === "both") return BOTH_SIDES;
  return pairs ? NEIGHBOURS : null;
}

/** The same of a model. */
export function unlikeGraphs(
  architecture: Pick<Architecture, "outer" | "scaling" | "blocks">,
  family: Family,
): string | null {
  const { outer, scaling, blocks } = architecture;
  const unlike = [unlikeFamily(family), ...blocks.map(unlikeBlock)].find((has) => has !== null);
  if (unlike !== undefined) return unlike;
  if (outer.some((part) => part !== "finalNorm")) return "learned positions, or biases of its head";
  if (scaling?.logitCap !== undefined) return "capped logits";
  return ropesOf(architecture).length > 1 ? "layers that rotate in different ways" : null;
}

function unlikeBlock(block: Block): string | null {
  const { attention, activation = "silu", placement, parallel } = block;
  if (placement === "both") return BOTH_SIDES;
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
  return attention.rope?.pairs ? NEIGHBOURS : null;
}
