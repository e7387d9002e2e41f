import { blocksOf } from "./blocks_of.ts";
import type { KeptByBlock, KeptUnits } from "./change.ts";
import { PlanError } from "./errors.ts";
import {
  blockIndex,
  type BlockKind,
  type BlockRef,
  groupSize,
  type LayerSpec,
  type ModelSpec,
  withLayers,
} from "./model_spec.ts";

/**
 * What stays of a checkpoint, in the coordinates of that checkpoint. Independent of any ranking: the indices are
 * those of the original tensors, so a plan means the same thing to every reader.
 */
export interface PrunePlan {
  /** Digest of the checkpoint that the plan belongs to; it is refused on any other. */
  readonly modelDigest: string;
  readonly layers: readonly LayerPlan[];
  /** Removed blocks in the order in which the search took them; removed blocks that it does not name come first. */
  readonly removalOrder: readonly BlockRef[];
}

export interface LayerPlan {
  /** Kept KV groups, ascending, or "removed". */
  readonly attention: { readonly kvGroups: readonly number[] } | "removed";
  /** Kept intermediate channels, ascending, or "removed". */
  readonly mlp: { readonly channels: readonly number[] } | "removed";
}

/** The plan that keeps everything of `spec`. */
export function densePlan(spec: ModelSpec, modelDigest: string): PrunePlan {
  return {
    modelDigest,
    removalOrder: [],
    layers: spec.layers.map(({ attention, mlp }) => ({
      attention: attention ? { kvGroups: range(attention.kvHeads) } : "removed",
      mlp: mlp ? { channels: range(mlp.intermediateSize) } : "removed",
    })),
  };
}

/**
 * The model that remains when `plan` is applied to `spec`.
 * @throws {PlanError} as `prunedLayers`.
 */
export function prunedSpec(spec: ModelSpec, plan: PrunePlan): ModelSpec {
  return withLayers(spec, prunedLayers(spec.layers, plan));
}

/**
 * What remains of the layers of a model when `plan` is applied to it.
 * @throws {PlanError} when the plan names layers, groups or channels that the model does not have, or as removed what it
 *   keeps.
 */
export function prunedLayers(
  denseLayers: readonly LayerSpec[],
  plan: PrunePlan,
): readonly LayerSpec[] {
  if (plan.layers.length !== denseLayers.length) {
    throw new PlanError(
      `the plan describes ${plan.layers.length} layers and the model has ${denseLayers.length}`,
    );
  }
  checkRemovalOrder(plan);
  return plan.layers.map(({ attention, mlp }, i): LayerSpec => {
    const dense = denseLayers[i];
    let attentionShape = null;
    if (attention !== "removed") {
      if (!dense.attention) {
        throw new PlanError(`the plan keeps attention in layer ${i}, where the model has none`);
      }
      checkIndices(attention.kvGroups, dense.attention.kvHeads, `KV groups of layer ${i}`);
      const kvHeads = attention.kvGroups.length;
      attentionShape = { queryHeads: kvHeads * groupSize(dense.attention), kvHeads };
    }
    let mlpShape = null;
    if (mlp !== "removed") {
      if (!dense.mlp) {
        throw new PlanError(`the plan keeps the MLP of layer ${i}, where the model has none`);
      }
      checkIndices(mlp.channels, dense.mlp.intermediateSize, `MLP channels of layer ${i}`);
      mlpShape = { intermediateSize: mlp.channels.length };
    }
    return { attention: attentionShape, mlp: mlpShape };
  });
}

/** What a plan keeps, by blocks. @throws {PlanError} as `prunedLayers`. */
export function keptOf(spec: ModelSpec, plan: PrunePlan): KeptByBlock {
  prunedLayers(spec.layers, plan);
  return blocksOf(spec).map(({ layer, kind }): KeptUnits | null => {
    const units = plan.layers[layer][kind as BlockKind];
    return units === "removed" ? null : { ...units };
  });
}

/** What the order of removal names was removed, and nothing twice. */
function checkRemovalOrder({ layers, removalOrder }: PrunePlan) {
  const named = new Set<number>();
  for (const block of removalOrder) {
    const what = `${block.kind} of layer ${block.layer}`;
    if (layers[block.layer]?.[block.kind] !== "removed") {
      throw new PlanError(`the plan's removalOrder has ${what}, which its layers do not remove`);
    }
    if (named.has(blockIndex(block))) {
      throw new PlanError(`the plan's removalOrder has ${what} twice`);
    }
    named.add(blockIndex(block));
  }
}

function checkIndices(kept: readonly number[], count: number, what: string) {
  if (kept.length === 0) {
    throw new PlanError(`the plan keeps none of the ${what}; say "removed" to remove the block`);
  }
  let previous = -1;
  for (const index of kept) {
    if (!Number.isInteger(index) || index <= previous || index >= count) {
      throw new PlanError(
        `the plan lists ${index} among the ${what}; indices must ascend and stay below ${count}`,
      );
    }
    previous = index;
  }
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
