import {
  type FrontierStep,
  type ModelSpec,
  PlanError,
  type PrunePlan,
  type RunRecord,
} from "@lopper/core";
import { parsePlanFile, planToJson } from "@lopper/model-io";
import { parseJournal, planOfFrontier } from "@lopper/search";
import { join } from "node:path";
import { FILES, readJournalLines, readRecord } from "./run_files.ts";

/**
 * What a finished run decided, or what it had decided when it reached a smaller ratio.
 * @param ratio in per cent, or undefined for all of the run.
 * @throws {PlanError} when the run did not reach the ratio, is of another model, or contradicts itself.
 * @throws {RunFolderError} when the folder holds no finished run.
 */
export async function planOfRun(
  folder: string,
  ratio: number | undefined,
  spec: ModelSpec,
  modelDigest: string,
): Promise<{ plan: PrunePlan; frontier: readonly FrontierStep[] }> {
  const record = await readRecord(folder);
  const file = join(folder, FILES.record);
  if (record.modelDigest !== modelDigest) {
    throw new PlanError(
      `${file}: the run belongs to the checkpoint ${record.modelDigest} and this one is ${modelDigest}`,
    );
  }
  const { frontier } = record;
  if (frontier.length === 0) {
    throw new PlanError(
      `${file} has no frontier: ${
        record.steps > 0
          ? "it was written by an earlier version of Lopper"
          : "that run had no search"
      }; pass its ${FILES.plan} to --plan`,
    );
  }
  await checkAgainstJournal(folder, record);
  const whole = await checkedPlan(folder, file, spec, record);
  if (ratio === undefined) return { plan: whole, frontier };
  const last = frontier.findIndex((step) => step.ratio >= ratio);
  if (last < 0) {
    throw new PlanError(
      `${folder} holds a run that reached ${
        record.ratio.toFixed(2)
      } %, which is less than ${ratio} % ` +
        `(prune --resume --ratio ${ratio} --out takes it further)`,
    );
  }
  const steps = frontier.slice(0, last + 1);
  return { plan: planOfFrontier(spec, modelDigest, steps), frontier: steps };
}

/**
 * The record says what the search decided, and the journal has to say the same.
 * @throws {PlanError} when it does not.
 */
export async function checkAgainstJournal(folder: string, { frontier }: RunRecord) {
  const file = join(folder, FILES.journal);
  const lines = await readJournalLines(folder);
  // A plan that was cut from a run has no journal of its own.
  if (lines === null) return;
  const { steps } = parseJournal(lines, file);
  frontier.forEach(({ kind, layer, width, ratio }, i) => {
    const taken = steps[i]?.taken;
    const same = taken?.kind === kind && taken.layer === layer && taken.width === width &&
      steps[i].ratio === ratio;
    if (same) return;
    throw new PlanError(
      `${file} and ${FILES.record} say different things of step ${i + 1}; one of them was changed`,
    );
  });
}

/** The plan of the whole run, which has to be the one that the run wrote. */
async function checkedPlan(
  folder: string,
  file: string,
  spec: ModelSpec,
  { frontier, modelDigest }: RunRecord,
): Promise<PrunePlan> {
  const outside = frontier.find(({ layer }) => layer >= spec.layers.length);
  if (outside) {
    throw new PlanError(
      `${file}: the frontier names layer ${outside.layer}; the model has ${spec.layers.length} layers`,
    );
  }
  const plan = planOfFrontier(spec, modelDigest, frontier);
  const path = join(folder, FILES.plan);
  const written = parsePlanFile(await Deno.readTextFile(path), path);
  if (written.kind !== "plan" || planToJson(written.plan) !== planToJson(plan)) {
    throw new PlanError(`${file} and ${FILES.plan} do not go together; one of them was changed`);
  }
  return plan;
}
