import { type ModelSpec, PlanError, type PrunePlan, type RunRecord } from "@lopper/core";
import { INPUTS, parsePlanFile, planToJson } from "@lopper/model-io";
import { readInput } from "@lopper/model-io/files";
import { blockOf, keptSwaps, planOfFrontier, type Way } from "@lopper/search";
import { join } from "node:path";
import { percentWord } from "./options.ts";
import { FILES, readRecord } from "./run_files.ts";
import { readJournal } from "./run_journal.ts";

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
): Promise<Way & { readonly plan: PrunePlan }> {
  const record = await readRecord(folder);
  const file = join(folder, FILES.record);
  if (record.modelDigest !== modelDigest) {
    throw new PlanError(
      `${file}: the run belongs to the checkpoint ${record.modelDigest} and this one is ${modelDigest}`,
    );
  }
  const { frontier, swaps } = record;
  if (frontier.length === 0) {
    throw new PlanError(
      `${file} has no frontier: that run had no search; pass its ${FILES.plan} to --plan`,
    );
  }
  await checkAgainstJournal(folder, record);
  const whole = await checkedPlan(folder, file, spec, record);
  if (ratio === undefined) return { plan: whole, frontier, swaps };
  const part = partOf({ frontier, swaps }, ratio);
  if (!part) {
    throw new PlanError(
      `${folder} holds a run that reached ${
        record.ratio.toFixed(2)
      } %, which is less than ${ratio} % ` +
        `(prune --resume --ratio ${percentWord(ratio)} --out takes it further)`,
    );
  }
  return { plan: planOfFrontier(spec, modelDigest, part.frontier, part.swaps), ...part };
}

/**
 * The first steps of a run, up to the first that reaches a ratio; null where none does. Swaps that followed that step are
 * part of it where what they left reaches the ratio, too: they may have given back what went beyond their own target.
 */
function partOf({ frontier, swaps }: Way, ratio: number): Way | null {
  for (const [i, step] of frontier.entries()) {
    const steps = i + 1;
    const swapped = swaps.find((phase) => phase.steps === steps)?.kept.at(-1);
    const withSwaps = swapped !== undefined && swapped.ratio >= ratio;
    if (step.ratio < ratio && !withSwaps) continue;
    return {
      frontier: frontier.slice(0, steps),
      swaps: swaps.filter((phase) => phase.steps < steps || phase.steps === steps && withSwaps),
    };
  }
  return null;
}

/**
 * The record says what the search decided, and the journal has to say the same.
 * @throws {PlanError} when it does not.
 */
export async function checkAgainstJournal(folder: string, { frontier, swaps, plan }: RunRecord) {
  const file = join(folder, FILES.journal);
  const journal = await readJournal(folder);
  // The journal of a plan that was cut from a run has repairs only.
  if (journal === null || plan !== null) return;
  const { steps, swaps: tried } = journal.history;
  frontier.forEach(({ kind, layer, width, ratio }, i) => {
    const taken = steps[i]?.taken;
    const same = taken?.kind === kind && taken.layer === layer && taken.width === width &&
      steps[i].ratio === ratio;
    if (same) return;
    throw new PlanError(
      `${file} and ${FILES.record} say different things of step ${i + 1}; one of them was changed`,
    );
  });
  for (const { steps, kept } of swaps) {
    const said = kept.map(({ restored, removed, ratio }) => [
      ...[restored, removed].map((block) => block && [block.kind, block.layer, block.width]),
      ratio,
    ]);
    const found = keptSwaps(tried).filter((line) => line.steps === steps)
      .map(({ restored, removed, ratio }) => [
        ...[restored, removed].map((name) => name && [blockOf(name).kind, name.layer, name.width]),
        ratio,
      ]);
    if (JSON.stringify(said) === JSON.stringify(found)) continue;
    throw new PlanError(
      `${file} and ${FILES.record} say different things of the swaps after step ${steps}; one of them was changed`,
    );
  }
}

/** The plan of the whole run, which has to be the one that the run wrote. */
async function checkedPlan(
  folder: string,
  file: string,
  spec: ModelSpec,
  { frontier, swaps, modelDigest }: RunRecord,
): Promise<PrunePlan> {
  const swapped = swaps.flatMap(({ kept }) =>
    kept.flatMap(({ restored, removed }) => removed ? [restored, removed] : [restored])
  );
  const outside = [...frontier, ...swapped].find(({ layer }) => layer >= spec.layers.length);
  if (outside) {
    throw new PlanError(
      `${file}: the frontier names layer ${outside.layer}; the model has ${spec.layers.length} layers`,
    );
  }
  const plan = planOfFrontier(spec, modelDigest, frontier, swaps);
  const path = join(folder, FILES.plan);
  const written = parsePlanFile(await readInput(path, INPUTS.plan), path);
  if (written.kind !== "plan" || planToJson(written.plan) !== planToJson(plan)) {
    throw new PlanError(`${file} and ${FILES.plan} do not go together; one of them was changed`);
  }
  return plan;
}
