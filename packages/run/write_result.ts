import {
  type Model,
  planToJson,
  publishedConfigToJson,
  type Refit,
  toPublishedConfig,
  writePrunedModel,
} from "@lopper/models";
import { hasExperts, keptOf, type Ranking } from "@lopper/core";
import { writeText } from "@lopper/formats";
import { keepsMostImportant } from "@lopper/search";
import type { Decision } from "./decision.ts";
import { PLAN_FILES, type RunStore } from "./store.ts";

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
  const files = [...written.files];
  const write = async (file: string, text: string) => {
    await writeText((name) => store.sink(name), file, text);
    files.push(file);
  };
  await write(PLAN_FILES.plan, planToJson(plan));
  // It does not speak of experts.
  if (isPrefix && !hasExperts(model.architecture)) {
    const config = toPublishedConfig(model.architecture, shape, plan.removalOrder);
    await write(PLAN_FILES.published, publishedConfigToJson(config));
  }
  return files;
}
