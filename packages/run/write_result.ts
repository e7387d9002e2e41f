import {
  type Model,
  planToJson,
  publishedConfigToJson,
  type Refit,
  toPublishedConfig,
  writePrunedModel,
} from "@lopper/models";
import { keptOf, type Ranking } from "@lopper/core";
import { keepsMostImportant } from "@lopper/search";
import type { Decision } from "./decision.ts";
import type { RunStore } from "./store.ts";

/**
 * Writes the checkpoint and the plan through the store of a run, and the published config where it
 * can say the same: its widths are prefixes of the published ranking.
 * @param published that ranking.
 * @returns the files, by their paths from the store.
 */
export async function writeResult(
  model: Model,
  decision: Decision,
  published: Ranking,
  store: RunStore,
  refit?: Refit,
): Promise<readonly string[]> {
  const { plan, shape } = decision;
  const written = await writePrunedModel(model, plan, (file) => store.sink(file), {
    refit,
  });
  const isPrefix = keepsMostImportant(keptOf(model.architecture, plan), published);
  const plans = await store.writePlan(
    planToJson(plan),
    isPrefix
      ? publishedConfigToJson(toPublishedConfig(model.architecture, shape, plan.removalOrder))
      : null,
  );
  return [...written.files, ...plans];
}
