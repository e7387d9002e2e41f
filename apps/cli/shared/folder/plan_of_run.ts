import {
  type Architecture,
  keptOf,
  PlanError,
  planOf,
  type PrunePlan,
  pruningRatio,
  shapeOfKept,
} from "@lopper/core";
import { INPUTS } from "@lopper/core";
import { digestOfPlan, layersOfBlocks, parsePlanFile, prunedSizes } from "@lopper/models";
import { readInputIfThere } from "@lopper/files";
import { wordsOf } from "@lopper/options";
import { RUN_OPTIONS, type RunJournal, type RunRecord } from "@lopper/run";
import { agrees, changesOf, checkWay, keptSwaps, searchModelOf, type Way } from "@lopper/search";
import { basename, dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { FILES, readRecord } from "./run_files.ts";
import { readJournal } from "./read_journal.ts";

/**
 * What a finished run decided, or what it had decided when it reached a smaller ratio.
 * @param ratio in per cent, or undefined for all of the run.
 * @throws {PlanError} when the run did not reach the ratio, is of another model, or contradicts
 *   itself.
 * @throws {RunFolderError} when the folder holds no finished run.
 */
export async function planOfRun(
  folder: string,
  ratio: number | undefined,
  architecture: Architecture,
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
  await checkedJournal(folder, record);
  const whole = await readRunPlan(folder, record);
  await checkRecord(file, architecture, record);
  if (ratio === undefined) return { plan: whole, frontier, swaps };
  const part = partOf({ frontier, swaps }, ratio);
  if (!part) {
    throw new PlanError(
      `${folder} holds a run that reached ${
        record.ratio.toFixed(2)
      } %, which is less than ${ratio} % ` +
        `(prune --resume ${wordsOf(RUN_OPTIONS, { ratio }).join(" ")} --out takes it further)`,
    );
  }
  return { plan: planOf(architecture, modelDigest, changesOf(part)), ...part };
}

/**
 * The first steps of a run, up to the first that reaches a ratio; null where none does. Swaps that
 * followed that step are part of it where what they left reaches the ratio, too: they may have
 * given back what went beyond their own target.
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
 * The journal of a finished run, which has to say what the record says of it; null where it is not
 * there any more.
 * @throws {PlanError} when it says something else.
 * @throws {ResumeError} when one of its lines was changed.
 */
export async function checkedJournal(
  folder: string,
  record: RunRecord,
): Promise<RunJournal | null> {
  const { frontier, swaps, plan } = record;
  const file = join(folder, FILES.journal);
  const journal = await readJournal(folder);
  if (journal === null) return null;
  if (record.journal !== null && !journal.has(record.journal)) {
    throw new PlanError(
      `${file} lacks lines that ${FILES.record} was made with, or is of another run`,
    );
  }
  // The journal of a plan that was cut from a run has refits only.
  if (plan !== null) return journal;
  const { steps, swaps: tried } = journal.history;
  frontier.forEach(({ changes, ratio }, i) => {
    const found = steps[i];
    if (isDeepStrictEqual(found?.taken.changes, changes) && found.ratio === ratio) return;
    throw new PlanError(
      `${file} and ${FILES.record} say different things of step ${i + 1}; one of them was changed`,
    );
  });
  for (const { steps, kept } of swaps) {
    const said = kept.map(({ changes, ratio }) => ({ changes, ratio }));
    const found = keptSwaps(tried).filter((line) => line.steps === steps)
      .map(({ kept, ratio }) => ({ changes: kept, ratio }));
    if (isDeepStrictEqual(said, found)) continue;
    throw new PlanError(
      `${file} and ${FILES.record} say different things of the swaps after step ${steps}; one of them was changed`,
    );
  }
  return journal;
}

/**
 * The plan of a finished run, which has to be the one that its record was made with, and to leave
 * what the record says.
 * @throws {PlanError} when it is another.
 */
export async function readRunPlan(folder: string, record: RunRecord): Promise<PrunePlan> {
  const file = join(folder, FILES.plan);
  const text = await readInputIfThere(file, INPUTS.plan);
  if (text === null) {
    throw new PlanError(`${file}: there is no such file, and a finished run has it`);
  }
  const parsed = parsePlanFile(text, file);
  if (parsed.kind !== "plan" || await digestOfPlan(parsed.plan) !== record.planDigest) {
    throw new PlanError(`${file} is not the plan of ${FILES.record}; one of them was changed`);
  }
  const { dense, pruned } = record.layers;
  const left = about(file, () => prunedSizes(dense, parsed.plan));
  if (!isDeepStrictEqual(left, pruned)) {
    throw new PlanError(
      `${file} leaves other layers than ${FILES.record} says; one of them was changed`,
    );
  }
  return parsed.plan;
}

/**
 * Checks that the steps of a run fit the model, and lead to its plan.
 * @throws {PlanError} when they do not.
 */
async function checkRecord(
  file: string,
  architecture: Architecture,
  record: RunRecord,
): Promise<void> {
  const { frontier, swaps, modelDigest, layers, ratio } = record;
  if (!isDeepStrictEqual(layers.dense, layersOfBlocks(architecture))) {
    throw new PlanError(`${file} says other layers of the model than it has`);
  }
  about(file, () => checkWay(searchModelOf(architecture), { frontier, swaps }));
  const plan = planOf(architecture, modelDigest, changesOf({ frontier, swaps }));
  if (
    !agrees(
      ratio,
      pruningRatio(architecture, shapeOfKept(architecture.blocks, keptOf(architecture, plan))),
    )
  ) {
    throw new PlanError(`${file} says a ratio of ${ratio}, which its layers do not have`);
  }
  if (await digestOfPlan(plan) !== record.planDigest) {
    throw new PlanError(`${file} and ${FILES.plan} do not go together; one of them was changed`);
  }
}

/**
 * A plan file that still stands in the folder of its run has to be that run's: who wants another
 * one takes a copy.
 * @param plan what the file says.
 * @throws {PlanError} when it was changed.
 */
export async function checkRunOf(file: string, plan: PrunePlan): Promise<void> {
  const folder = dirname(file);
  const own = basename(file) === FILES.plan || basename(file) === FILES.published;
  const there = own && await readInputIfThere(join(folder, FILES.record), INPUTS.record) !== null;
  if (!there || await digestOfPlan(plan) === (await readRecord(folder)).planDigest) return;
  throw new PlanError(
    `${file} is not the plan of the run in its folder; copy it elsewhere to apply it all the same`,
  );
}

/**
 * Names the file in what is wrong with it.
 * @throws {PlanError} of `check`, with the file.
 */
export function about<T>(file: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    throw new PlanError(`${file}: ${error.message}`, { cause: error });
  }
}
