import type { BlockRef, LayerSpec, PrunePlan } from "@lopper/core";
import type { UnitOrder } from "@lopper/runtime";

/**
 * The plan that `layers` mean under `order`: what a narrower block keeps are its most important units, named by their
 * place in the checkpoint.
 */
export function planFromLayers(
  layers: readonly LayerSpec[],
  order: UnitOrder,
  options: { modelDigest: string; removalOrder: readonly BlockRef[] },
): PrunePlan {
  const kept = (units: readonly number[] | null, count: number) =>
    (units ?? []).slice(0, count).sort((a, b) => a - b);
  return {
    modelDigest: options.modelDigest,
    removalOrder: options.removalOrder,
    layers: layers.map(({ attention, mlp }, i) => ({
      attention: attention
        ? { kvGroups: kept(order.layers[i].kvGroups, attention.kvHeads) }
        : "removed",
      mlp: mlp ? { channels: kept(order.layers[i].channels, mlp.intermediateSize) } : "removed",
    })),
  };
}

/**
 * An order under which the units that `plan` keeps come first, so that the plan can be run as a prefix of every block.
 */
export function orderOfPlan(plan: PrunePlan, order: UnitOrder): UnitOrder {
  const first = (units: readonly number[] | null, kept: readonly number[]) => {
    const set = new Set(kept);
    return units && [...kept, ...units.filter((unit) => !set.has(unit))];
  };
  return {
    layers: plan.layers.map(({ attention, mlp }, i) => ({
      kvGroups: attention === "removed"
        ? order.layers[i].kvGroups
        : first(order.layers[i].kvGroups, attention.kvGroups),
      channels: mlp === "removed"
        ? order.layers[i].channels
        : first(order.layers[i].channels, mlp.channels),
    })),
  };
}
