import {
  afterChanges,
  allKept,
  indexOfPart,
  isSignificantFall,
  type KeptByBlock,
  mean,
  PlanError,
  ResumeError,
  type Shape,
  shapeOfKept,
} from "@lopper/core";
import type { History } from "./history.ts";
import { agrees, misfit, misfitBack, shapeAfter } from "./misfit.ts";
import { savedBy } from "./saved.ts";
import type { SearchModel } from "./search_model.ts";
import type { RecoveryLine, Step, SwapLine, SwapTrial, TakenCandidate } from "./journal_lines.ts";

/**
 * Checks what a journal says against the model that its run goes on with, before anything is
 * believed: steps and what they chose from are there to go, ratios are what is left, and what was
 * kept is what its own numbers say. Orders are checked where a search applies them.
 * @param file for messages.
 * @throws {ResumeError} naming what does not fit.
 */
export function checkHistory(model: SearchModel, history: History, file: string) {
  const refuse = (what: string, problem: string | null) => {
    if (problem !== null) throw new ResumeError(`${file}: ${what}: ${problem}`);
  };
  /** What the search chose from in each step, and in the one that was cut off. */
  const basePlans = replay(model, history, refuse);
  for (const evidence of history.evidence) {
    const { step } = evidence;
    const what = `a score of step ${step}`;
    refuse(what, step < basePlans.length ? null : "the journal has no such step");
    if (evidence.type !== "score") continue;
    const { of, sequences } = evidence;
    if (of !== "base") refuse(what, misfit(model.blocks, basePlans[step], of));
    refuse(what, new Set(sequences).size < sequences.length ? "it has a sequence twice" : null);
  }
  for (const { steps, nll } of history.measures) {
    const what = `a measure after step ${steps}`;
    refuse(what, steps < basePlans.length ? null : "the journal has no such step");
    refuse(what, nll.length === 0 ? "it has no sequences" : null);
  }
  const refitted = new Set<string>();
  for (const line of history.refits) {
    const what = `${refitName(line)} after step ${line.steps}`;
    if (line.type === "refit") refuse(what, refitMisfit(model, line));
    if (line.type === "local") refuse(what, localMisfit(model, line));
    refuse(what, refitted.has(what) ? "it is there twice" : null);
    refitted.add(what);
    refuse(what, lossMisfit(line, line.kept));
  }
}

type Refuse = (what: string, problem: string | null) => void;

/**
 * Takes the steps and swaps of a journal. @returns the shapes before each step, and after the last.
 */
function replay(
  model: SearchModel,
  { steps, swaps }: History,
  refuse: Refuse,
): readonly Shape[] {
  const { blocks } = model;
  let kept = allKept(blocks);
  const basePlans: Shape[] = [shapeOfKept(blocks, kept)];
  for (const [i, step] of steps.entries()) {
    const what = `step ${i}`;
    const before = basePlans[i];
    refuse(what, step.step === i ? null : `it says that it is step ${step.step}`);
    for (const { key } of step.candidates) refuse(what, misfit(blocks, before, key));
    refuse(what, isAmong(step) ? null : "it takes what was no candidate");
    kept = taken(model, kept, step.taken, (problem) => refuse(what, problem));
    refuse(what, ratioMisfit(model, shapeOfKept(blocks, kept), step.ratio));
    kept = swapped(model, kept, swaps.filter((line) => line.steps === i + 1), refuse);
    basePlans.push(shapeOfKept(blocks, kept));
  }
  const lost = swaps.find((line) => line.steps < 1 || line.steps > steps.length);
  if (lost) refuse(`a swap after step ${lost.steps}`, "the journal has no such step");
  return basePlans;
}

/** What changes leave, which have to be those of the name that stands beside them. */
function taken(
  { blocks }: SearchModel,
  kept: KeptByBlock,
  { key, changes }: TakenCandidate,
  refuse: (problem: string | null) => void,
): KeptByBlock {
  try {
    const after = afterChanges(blocks, kept, changes);
    const named = shapeAfter(blocks, shapeOfKept(blocks, kept), key);
    const same = JSON.stringify(named) === JSON.stringify(shapeOfKept(blocks, after));
    refuse(same ? null : `the units that it names are not those of ${key}`);
    return after;
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    refuse(error.message);
    return kept;
  }
}

/** What is kept after the swaps of one target. */
function swapped(
  model: SearchModel,
  start: KeptByBlock,
  lines: readonly SwapLine[],
  refuse: Refuse,
): KeptByBlock {
  const { blocks } = model;
  let kept = start;
  const trials = lines.filter((line): line is SwapTrial => line.type === "swap");
  for (const [n, trial] of trials.entries()) {
    const what = `swap ${n} after step ${trial.steps}`;
    const before = shapeOfKept(blocks, kept);
    refuse(what, misfitBack(blocks, before, trial.restored));
    const halfway = shapeAfter(blocks, before, trial.restored);
    if (trial.removed !== null) refuse(what, misfit(blocks, halfway, trial.removed));
    const after = trial.removed === null ? halfway : shapeAfter(blocks, halfway, trial.removed);
    refuse(what, ratioMisfit(model, after, trial.ratio));
    refuse(what, sameLength(trial));
    if (!trial.kept) continue;
    refuse(what, keptMisfit(trial));
    const named = { key: bothOf(trial), changes: trial.kept };
    kept = taken(model, kept, named, (problem) => refuse(what, problem));
  }
  for (const line of lines) {
    if (line.type !== "swaps") continue;
    const what = `the swaps after step ${line.steps}`;
    refuse(what, sameLength(line));
    const kept = trials.filter((trial) => trial.kept).length;
    const same = line.tried === trials.length && line.kept === kept;
    refuse(
      what,
      same ? null : `${kept} of ${trials.length} were kept, not ${line.kept} of ${line.tried}`,
    );
  }
  return kept;
}

/** Both halves of a swap as one candidate. */
function bothOf({ restored, removed }: SwapTrial): string {
  return removed === null ? restored : `${restored}, ${removed}`;
}

/** Why a swap cannot have been kept. */
function keptMisfit({ before, after, validation }: SwapTrial): string | null {
  if (!isSignificantFall(before, after)) return "it was kept, and its losses do not fall";
  return validation && lossMisfit(validation, "not risen");
}

function isAmong({ taken, candidates }: Step): boolean {
  return candidates.some(({ key }) => key === taken.key);
}

function ratioMisfit(model: SearchModel, shape: Shape, ratio: number): string | null {
  const computed = savedBy(model.parameters, model.blocks, shape);
  return agrees(ratio, computed)
    ? null
    : `its ratio is ${ratio}, and what it leaves is ${computed}`;
}

function refitName(line: RecoveryLine): string {
  switch (line.type) {
    case "refit":
      return `the refit of ${line.kind} of layer ${line.layer}`;
    case "local":
      return `the local refit with ridge ${line.lambda}`;
    case "recovery":
      return line.local ? "the test of the local refits" : "the refit of all of them";
  }
}

function localMisfit(
  { blocks }: SearchModel,
  { lambda, projections }: Extract<RecoveryLine, { type: "local" }>,
): string | null {
  if (projections > blocks.length) {
    return `it has ${projections} projections, and the model ${blocks.length} blocks`;
  }
  return lambda > 0 ? null : `its ridge is ${lambda}`;
}

function refitMisfit(
  { blocks }: SearchModel,
  { layer, kind, lambda }: Extract<RecoveryLine, { type: "refit" }>,
): string | null {
  const part = `${layer}.${kind}`;
  if (indexOfPart(blocks, part) < 0) return `the model has no block ${part}`;
  return lambda > 0 ? null : `its ridge is ${lambda}`;
}

interface Losses {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

function sameLength({ before, after }: Losses): string | null {
  return before.length === after.length
    ? null
    : `it has ${before.length} losses before and ${after.length} after`;
}

/**
 * Whether what was kept is what the means of its losses say; those that are not finite had been
 * before they were written, and say nothing any more.
 */
function lossMisfit(losses: Losses, kept: boolean | "not risen"): string | null {
  const length = sameLength(losses);
  if (length) return length;
  const [before, after] = [mean(losses.before), mean(losses.after)];
  if (!Number.isFinite(before) || !Number.isFinite(after)) return null;
  const right = kept === "not risen" ? after <= before : kept === after < before;
  return right ? null : `its losses, ${before} before and ${after} after, say the contrary`;
}
