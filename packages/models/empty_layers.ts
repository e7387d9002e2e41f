import { isUniform, keepLayers, layersWithBlocks } from "@lopper/core";
import type { TensorEntry } from "@lopper/formats";
import { blockTensorName } from "./families/family.ts";
import type { Weight } from "./model.ts";
import { configOfLayers, type DescribedModel } from "./written_config.ts";

/** A model that is to be written. */
export interface ModelToWrite extends DescribedModel {
  /** The weights that it is made of, by role. */
  readonly weights: readonly Weight[];
  /** What is written of them, under the names that they have there. */
  readonly entries: readonly TensorEntry[];
}

/**
 * The same model without layers that have no block, if these are all in which its layers differ:
 * those behind them move up, so that a plain model of fewer layers is left. Elsewhere layers keep
 * their places, and empty ones cost nothing.
 */
export function withoutEmptyLayers<T extends ModelToWrite>(model: T): T {
  const { architecture, family } = model;
  const kept = layersWithBlocks(architecture);
  const without = keepLayers(architecture, kept);
  if (kept.length === architecture.layerCount || !isUniform(without)) return model;
  const config = configOfLayers(model.config, kept, family);
  if (!config) return model;
  const names = new Map(model.weights.map(({ role, tensor }) => {
    if (!("layer" in role)) return [tensor.name, tensor.name];
    const moved = { layer: kept.indexOf(role.layer), kind: role.part };
    return [tensor.name, blockTensorName(family, moved, role.weight)];
  }));
  return {
    ...model,
    architecture: without,
    config,
    entries: model.entries.map((entry) => ({ ...entry, name: names.get(entry.name)! })),
  };
}
