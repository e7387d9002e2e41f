import {
  type Architecture,
  type Candidate,
  INPUTS,
  keptOf,
  PlanError,
  planOf,
  type PrunePlan,
  pruningRatio,
  type Ranking,
  shapeOfKept,
  UsageError,
} from "@lopper/core";
import { isFolder, readInput } from "@lopper/files";
import {
  fromPublishedConfig,
  type Model,
  parsePlanFile,
  type PublishedConfig,
} from "@lopper/models";
import type { Decision } from "@lopper/run";
import { changesTo, denseState } from "@lopper/search";
import { about, checkRunOf, planOfRun } from "../shared/folder/plan_of_run.ts";

/**
 * The decision that a plan file holds, or a run's folder.
 * @param ratio for a folder: the ratio in per cent up to which its steps are taken, or undefined
 *   for all of them.
 * @throws {PlanError} when it belongs to another checkpoint or does not fit this one.
 */
export async function decisionFromFile(
  file: string,
  model: Model,
  modelDigest: string,
  published: Ranking,
  ratio: number | undefined,
): Promise<Decision> {
  const decided = { stopped: null, rankings: [], blockTokens: { spent: 0, full: 0 } };
  if (await isFolder(file)) {
    const part = await planOfRun(file, ratio, model.architecture, modelDigest);
    const shape = about(
      file,
      () => shapeOfKept(model.architecture.blocks, keptOf(model.architecture, part.plan)),
    );
    return { ...decided, ...part, shape, ratio: pruningRatio(model.architecture, shape) };
  }
  if (ratio !== undefined) {
    throw new UsageError(
      `--ratio picks a part of a run's folder, and --plan ${file} is a file; leave out --ratio, or pass the folder`,
    );
  }
  const parsed = parsePlanFile(await readInput(file, INPUTS.plan), file);
  let plan: PrunePlan;
  if (parsed.kind === "published") {
    const { config } = parsed;
    const changes = changesOfConfig(model.architecture, config, published, file);
    plan = planOf(model.architecture, modelDigest, changes);
  } else {
    plan = parsed.plan;
    if (plan.modelDigest !== modelDigest) {
      throw new PlanError(
        `${file}: the plan belongs to the checkpoint ${plan.modelDigest} and this one is ${modelDigest}`,
      );
    }
  }
  const shape = about(
    file,
    () => shapeOfKept(model.architecture.blocks, keptOf(model.architecture, plan)),
  );
  await checkRunOf(file, plan);
  return {
    ...decided,
    plan,
    shape,
    ratio: pruningRatio(model.architecture, shape),
    frontier: [],
    swaps: [],
  };
}

/**
 * What a published config takes: whole blocks in its order, and of the others the least important
 * units.
 */
function changesOfConfig(
  architecture: Architecture,
  config: PublishedConfig,
  published: Ranking,
  file: string,
): Candidate {
  const state = denseState(architecture.blocks, published);
  const changes = changesTo(state, fromPublishedConfig(architecture, config, file));
  const removed = [
    ...config.pruned_attn_idx.map((layer) => `${layer}.attention`),
    ...config.pruned_mlp_idx.map((layer) => `${layer}.mlp`),
  ];
  const place = ({ part, dimension }: Candidate[number]) =>
    dimension === null ? removed.indexOf(part) : removed.length;
  return changes.toSorted((a, b) => place(a) - place(b));
}
