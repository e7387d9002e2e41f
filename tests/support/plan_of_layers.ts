import {
  blocksOf,
  type LayerSpec,
  type ModelSpec,
  planOf,
  type PrunePlan,
  shapeOfLayers,
} from "@lopper/core";
import { rankingOf, type UnitOrder } from "@lopper/runtime";
import { changesTo, denseState } from "@lopper/search";

/** The plan that leaves such layers of a model: in every block the first units of an order. */
export function planOfLayers(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  order: UnitOrder,
): PrunePlan {
  const state = denseState(blocksOf(spec), rankingOf(spec, order));
  return planOf(spec, "sha256:test", changesTo(state, shapeOfLayers(spec, layers)));
}
