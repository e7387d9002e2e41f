import { afterChanges, allKept, type Change, removalsOf } from "./change.ts";
import { indexOfPart } from "./block.ts";
import type { Architecture } from "./architecture.ts";
import { type BlockRef, planOfKept, type PrunePlan } from "./prune_plan.ts";

/**
 * The plan of a model that these changes lead to: their fold.
 * @throws {PlanError} as `afterChanges`.
 */
export function planOf(
  architecture: Pick<Architecture, "layerCount" | "kinds" | "eitherOf" | "blocks">,
  modelDigest: string,
  changes: readonly Change[],
): PrunePlan {
  const { blocks } = architecture;
  const removalOrder = removalsOf(changes).map((id): BlockRef => {
    const { layer, kind } = blocks[indexOfPart(blocks, id)];
    return { layer, kind };
  });
  const kept = afterChanges(blocks, allKept(blocks), changes);
  return planOfKept(architecture, kept, { modelDigest, removalOrder });
}
