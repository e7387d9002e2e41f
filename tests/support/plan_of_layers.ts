import {
  blocksOf,
  type LayerSpec,
  type ModelSpec,
  planOf,
  type PrunePlan,
  shapeOfLayers,
} from "@lopper/core";
import { rankingOf, type UnitRanking } from "@lopper/runtime";
import { changesTo, denseState } from "@lopper/search";

/** The plan that leaves such layers of a model: in every block the first units of a ranking. */
export function planOfLayers(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  ranking: UnitRanking,
): PrunePlan {
  const state = denseState(blocksOf(spec), rankingOf(spec, ranking));
  return planOf(spec, "sha256:test", changesTo(state, shapeOfLayers(spec, layers)));
}
