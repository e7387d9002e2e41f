import { blocksOf } from "./blocks_of.ts";
import { afterChanges, allKept, type Change, type KeptByBlock, removalsOf } from "./change.ts";
import type { BlockKind, BlockRef, ModelSpec } from "./model_spec.ts";
import type { LayerPlan, PrunePlan } from "./prune_plan.ts";

/**
 * The plan of a model whose blocks are attentions and MLPs that these changes lead to: their fold.
 * @throws {PlanError} as `afterChanges`.
 */
export function planOf(
  spec: ModelSpec,
  modelDigest: string,
  changes: readonly Change[],
): PrunePlan {
  const blocks = blocksOf(spec);
  const kept = afterChanges(blocks, allKept(blocks), changes);
  const layers: { -readonly [kind in BlockKind]: LayerPlan[kind] }[] = spec.layers.map(() => ({
    attention: "removed",
    mlp: "removed",
  }));
  for (const [at, { layer, kind }] of blocks.entries()) {
    const units = kept[at];
    if (!units) continue;
    if (kind === "mlp") layers[layer].mlp = { channels: units.channels };
    else layers[layer].attention = { kvGroups: units.kvGroups };
  }
  const removalOrder = removalsOf(changes).map((id): BlockRef => {
    const { layer, kind } = blocks.find((block) => block.id === id)!;
    return { layer, kind: kind as BlockKind };
  });
  return { modelDigest, layers, removalOrder };
}

/** What the blocks of a model keep in a plan that fits it. */
export function keptOfPlan(spec: ModelSpec, { layers }: Pick<PrunePlan, "layers">): KeptByBlock {
  return blocksOf(spec).map(({ layer, kind }) => {
    const units = layers[layer][kind as BlockKind];
    return units === "removed" ? null : { ...units };
  });
}
